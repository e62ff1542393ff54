"""What a run writes down of itself, and what its curves and its model card take from that.

OUT/<stage>.jsonl has a row every REPORT_EVERY steps of a stage; OUT/start.txt says what the first
stage started from, if not from nothing. Nothing here needs torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from galago.train.nano.config import StageConfig

REPORT_EVERY = 50  # steps
START = "start.txt"
Row = dict[str, float]


class Report:
    """One stage's losses on the way to its log: means over REPORT_EVERY steps, and their time."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self._clock = path, clock
        self._sums: Row = {}
        self._started = clock()

    def add(self, step: int, losses: Mapping[str, float]) -> Row | None:
        """Take a step's losses; the row that is due after it, or None."""
        for key, value in losses.items():
            self._sums[key] = self._sums.get(key, 0.0) + value / REPORT_EVERY
        if (step + 1) % REPORT_EVERY:
            return None
        now = self._clock()
        row: Row = {"step": step + 1, "seconds": round(now - self._started, 1)}
        row |= {key: round(value, 4) for key, value in self._sums.items()}
        self._sums, self._started = {}, now
        return row

    def write(self, row: Row) -> None:
        """Append a row to the log; what was measured for it is not part of the next row's time."""
        with open(self.path, "a") as sink:
            sink.write(json.dumps(row) + "\n")
        self._started = self._clock()


def log_of(stage: StageConfig, out: Path) -> Path:
    """Where the rows of a stage lie."""
    return out / f"{stage.name}.jsonl"


def read_log(path: Path) -> Iterator[Row]:
    for line in path.read_text().splitlines():
        yield json.loads(line)


def _logged(stages: Sequence[StageConfig], out: Path) -> list[tuple[StageConfig, list[Row]]]:
    """The stages that have run, with their rows."""
    paths = [(stage, log_of(stage, out)) for stage in stages]
    return [(stage, list(read_log(path))) for stage, path in paths if path.exists()]


def draw_curves(stages: Sequence[StageConfig], out: Path) -> None:
    """`out`/curves.svg: every stage's losses and held-out figures over its steps.

    Nothing where no stage has run as far as its first report.
    """
    logged = _logged(stages, out)
    if not logged:
        return
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(logged), figsize=(4 * len(logged), 6), squeeze=False)
    for column, (stage, rows) in enumerate(logged):
        keys = {key for row in rows for key in row} - {"step", "seconds"}
        for key in sorted(keys):
            held_out = key.startswith("val_")
            points = [(row["step"], row[key]) for row in rows if key in row]
            axis = axes[int(held_out)][column]
            axis.plot(*zip(*points, strict=True), label=key.removeprefix("val_"))
        axes[0][column].set_title(f"{stage.name}: losses")
        axes[1][column].set_title(f"{stage.name}: held out")
        for line in (0, 1):
            axes[line][column].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(out / "curves.svg")


def stage_table(stages: Sequence[StageConfig], out: Path) -> str:
    """A row a stage: what learned, for how many steps, pictures and hours."""
    return "\n".join(
        f"| {stage.name} | {', '.join(stage.trains)} | {stage.steps} "
        f"| {stage.steps * sum(sum(counts.values()) for _, counts in stage.batch):,} "
        f"| {sum(row['seconds'] for row in rows) / 3600:.2f} |"
        for stage, rows in _logged(stages, out)
    )


def started_from(out: Path) -> str:
    """What a run's first stage started from."""
    start = out / START
    return start.read_text("utf-8").strip() if start.exists() else "random weights"


def percent(value: float) -> str:
    """A share as the cards write it."""
    return f"{100 * value:.1f} %"
