"""The work folder beside what is being made: what a stopped training continues from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from galago.disk import discard_folder, one_at_a_time, optional_json, refusals
from galago.errors import OptionError, StorageError
from galago.rows.rows import Rows
from galago.version import __version__

__all__ = ["Options", "Work", "check_out", "fingerprint", "work_of"]

_PLAN = "plan.json"
_LOOKED = 1000  # rows that tell data from other data; more would take longer than they tell
# What may change when a training is continued: none of it changes what is learnt.
_FREE = ("measured", "tensorboard", "checkpointing", "adapter")


def work_of(out: Path) -> Path:
    """The folder beside OUT."""
    return out.with_name(f"{out.name}.work")


def check_out(out: Path) -> None:
    """OptionError for a place that holds something already."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OptionError(f"{out} is there already: give a new folder, or remove it")


def fingerprint(rows: Rows) -> str:
    """What tells these rows from others: how many, and the words of at most a thousand of them."""
    count = len(rows)
    digest = hashlib.blake2b(str(count).encode(), digest_size=16)
    for number in range(min(count, _LOOKED)):
        row = rows[number * count // min(count, _LOOKED)]
        names = [photo.name for photo in row.pictures]
        said = [row.system, names, [(turn.question, turn.answer) for turn in row.turns]]
        digest.update(json.dumps(said).encode())
    return digest.hexdigest()


class Options(Protocol):
    """What a training is told."""

    def to_json(self) -> dict[str, Any]:
        """In one level, by the names of the command line's options."""


@dataclass(frozen=True)
class Work:
    """A training's own folder."""

    folder: Path

    @property
    def features(self) -> Path:
        return self.folder / "features"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder; StorageError when another process has it."""

        def busy() -> None:
            raise StorageError(f"another galago is training in {self.folder}; wait for it")

        with (
            refusals(
                full=f"the disk is full: {self.folder} can't be written",
                closed=f"{self.folder} can't be written: give OUT a place that can",
            ),
            contextlib.ExitStack() as stack,
        ):
            self.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(one_at_a_time(self.folder / ".lock", busy))
            yield

    def agree(self, model: str, data: str, options: Options, *, resume: bool) -> None:
        """Begin, or continue what was begun with the same model, rows and options.

        OptionError names what differs.  Without `resume` what was learnt is forgotten; features of
        pictures stay, as they name the pictures they are of.
        """
        now = {"galago": __version__, "model": model, "data": data, **options.to_json()}
        now = json.loads(json.dumps(now))
        before = optional_json(self.folder / _PLAN)
        if before and resume:
            self._compare(before, now)
        elif not resume:
            for path in self.folder.glob("checkpoint-*"):
                discard_folder(path)
            for name in ("training.jsonl", "best.safetensors", "before.json"):
                (self.folder / name).unlink(missing_ok=True)
        if before and before.get("model") != model:
            discard_folder(self.features)
        part = self.folder / f"{_PLAN}.part"
        part.write_text(json.dumps(now, indent=1), "utf-8")
        os.replace(part, self.folder / _PLAN)

    def _compare(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        for key, value in now.items():
            if key in ("galago", *_FREE) or before.get(key) == value:
                continue
            told = {"model": "the model is another one", "data": "the data is other data"}.get(
                key, f"--{key.replace('_', '-')} was {before.get(key)} and is {value}"
            )
            raise OptionError(
                f"{self.folder} holds a training that was stopped, and {told}: give the same to "
                "continue, or --no-resume to begin anew"
            )

    def remembered(self, name: str) -> dict[str, Any]:
        """A JSON object kept here; empty where there is none."""
        return optional_json(self.folder / name)

    def remember(self, name: str, value: dict[str, Any]) -> None:
        part = self.folder / f"{name}.part"
        part.write_text(json.dumps(value), "utf-8")
        os.replace(part, self.folder / name)

    def discard(self) -> None:
        discard_folder(self.folder)
