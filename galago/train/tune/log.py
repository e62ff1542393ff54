"""training.jsonl: a line a step and a line a judgement; which step was the best follows from it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

__all__ = ["LOG", "Log", "read_log"]

LOG = "training.jsonl"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a folder's log; none where there is none."""
    path = folder / LOG
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").split("\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:  # cut short by a full disk
            continue
    return found


class Log:
    """{"step", "loss", "learning_rate"} of each step, {"step", "held_out_loss"} of each judgement.

    `patience`: after so many judgements without a better one it is hopeless; 0: never.  Every
    process holds the judgements, the first one writes.
    """

    def __init__(self, work: Path, patience: int) -> None:
        self._work, self._patience = work, patience
        self._lines: list[dict[str, Any]] = []
        self._saved = time.monotonic()
        self.best_file = work / "best.safetensors"

    def continue_at(self, step: int, writes: bool) -> None:
        """Forget what came behind this step: it is done again."""
        self._lines = [line for line in read_log(self._work) if line["step"] <= step and step]
        if writes:
            part = self._work / f"{LOG}.part"
            part.write_text("".join(json.dumps(line) + "\n" for line in self._lines), "utf-8")
            part.replace(self._work / LOG)

    def begin(self, loss: float, writes: bool) -> None:
        """The held-out loss before the first step."""
        self._note({"step": 0, "held_out_loss": loss}, writes)

    def add(self, step: int, figures: dict[str, Any]) -> None:
        self._note({"step": step, **figures}, True)

    def judge(self, step: int, loss: float, writes: bool) -> bool:
        """Note a judgement; whether it is the best so far, the untrained model aside."""
        line = {"step": step, "held_out_loss": loss}
        self._note(line, writes)
        return self.best() == step

    def _note(self, line: dict[str, Any], writes: bool) -> None:
        self._lines.append(line)
        if writes:
            with (self._work / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _judged(self) -> list[tuple[int, float]]:
        losses = ((one["step"], one.get("held_out_loss")) for one in self._lines)
        return [(s, math.inf if math.isnan(x) else x) for s, x in losses if x is not None and s]

    def best(self) -> int | None:
        """The step of the lowest held-out loss, the first of equals; None where none was judged."""
        judged = self._judged()
        return min(judged, key=lambda one: one[1])[0] if judged else None

    def hopeless(self) -> bool:
        judged = self._judged()
        behind = sum(step > (self.best() or 0) for step, _ in judged)
        return 0 < self._patience <= behind

    def before(self) -> float | None:
        """The held-out loss of the untrained model."""
        found = (one.get("held_out_loss") for one in self._lines if one["step"] == 0)
        return next(found, None)

    def after(self) -> float | None:
        """The lowest held-out loss."""
        return min((loss for _, loss in self._judged()), default=None)

    def loss(self) -> float:
        """The loss of the last step."""
        losses = [one["loss"] for one in self._lines if "loss" in one]
        return float(losses[-1]) if losses else math.nan

    def due(self, seconds: float) -> bool:
        """Whether the last checkpoint is so old."""
        return time.monotonic() - self._saved > seconds

    def saved(self) -> None:
        self._saved = time.monotonic()
