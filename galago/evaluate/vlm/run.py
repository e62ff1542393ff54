"""A benchmark asked from its first question to its last, in steps that aren't asked twice.

lmms-eval keeps answers when a run of it is over. So a long task is asked in runs of some minutes,
each of them the next questions; the last one finds all their answers and judges them together.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from galago.disk import one_at_a_time, whole_file
from galago.errors import StorageError
from galago.evaluate.vlm.data import DataSet, link_data
from galago.evaluate.vlm.harness import ANSWERS, FAILED, Found, Harness, Route
from galago.evaluate.vlm.scores import failures
from galago.evaluate.vlm.tasks import Task
from galago.places import slug

__all__ = ["Note", "Place", "asked", "place_of"]

_FIRST = 32  # questions of the first step, which tells how long one takes
_STEP = 600.0  # seconds of the others, about: what is lost where somebody stops it
_NOTE = "asked.json"

Heard = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Note:
    """How many of a task's first questions have been asked, of how many (0: not known), and the
    seconds that one took."""

    asked: int = 0
    size: int = 0
    seconds: float = 0.0

    def next(self) -> int:
        """Where the next step ends."""
        return self.asked + max(_FIRST, int(_STEP / self.seconds) if self.seconds else 0)


@dataclass(frozen=True)
class Place:
    """Where a task of a model is worked on: its data, its answers, its log."""

    folder: Path

    def note(self) -> Note:
        try:
            said = json.loads((self.folder / _NOTE).read_text("utf-8"))
            return Note(int(said["asked"]), int(said["size"]), float(said["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Note()

    def keep(self, note: Note) -> None:
        with whole_file(self.folder / _NOTE) as sink:
            sink.write(json.dumps(asdict(note)).encode())

    def forget_failures(self) -> None:
        """Answers that didn't come are asked for again next time."""
        for file in (self.folder / ANSWERS).rglob("*.db"):
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(file)) as db,
            ):
                like = "%" + FAILED.replace("_", r"\_") + "%"
                db.execute(r"DELETE FROM responses WHERE response LIKE ? ESCAPE '\'", (like,))
                db.commit()


@contextlib.contextmanager
def place_of(
    home: Path,
    task: Task,
    identity: Mapping[str, Any],
    data: DataSet,
    *,
    again: bool,
    waiting: Callable[[], object] = lambda: None,
) -> Iterator[Place]:
    """The folder of a task, made, with links to its data; `again` forgets what was answered.

    One for all that an answer depends on: the model as `identity` has it, and the data. While the
    block lasts no other process works there; `waiting` is called once where one does, before this
    one's turn comes.  StorageError for what the disk refuses.
    """
    text = json.dumps({**identity, "data": data.digest}, sort_keys=True)
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
    folder = home / f"{slug(str(identity['model']))}-{task.name}-{digest}"
    _make(home)
    # Beside the folder, which --again removes.
    with one_at_a_time(home / f".{folder.name}.lock", waiting):
        if again:
            shutil.rmtree(folder, ignore_errors=True)
        _make(folder)
        link_data(data, folder)
        yield Place(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} can't be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise StorageError(f"{folder} can't be written: give another folder, or its rights")


def asked(
    harness: Harness,
    task: Task,
    route: Route,
    place: Place,
    limit: int | None,
    heard: Heard = lambda done, total: None,
) -> Found:
    """The first so many questions of a task, or all, asked and judged.

    `heard` gets how many of how many are answered, None where that isn't known yet.
    HarnessError where lmms-eval came to no result.
    """
    note = place.note()
    while True:
        total = _least(limit, note.size or None)
        if total is not None and note.next() >= total:
            break
        before = note.asked
        note, step = _step(harness, task, route, place, note, partial(_of, heard, total))
        if before == 0 and note.asked == note.size:
            return step  # all of a small task
        heard(note.asked, _least(limit, note.size))
    found = harness.run(
        *(task, route, place.folder, limit, 0),
        lambda count, of: heard(count + (total - of if total else 0), total),
    )
    if failures(found):
        place.forget_failures()
    return found


def _step(
    harness: Harness,
    task: Task,
    route: Route,
    place: Place,
    note: Note,
    heard: Callable[[int], None],
) -> tuple[Note, Found]:
    """The next questions asked: what is to be remembered, and what came of them."""
    began = time.monotonic()
    count = note.next() - note.asked
    step = harness.run(
        *(task, route, place.folder, count, note.asked),
        lambda done, _: heard(note.asked + done),
    )
    if failures(step):
        place.forget_failures()
    seconds = (time.monotonic() - began) / max(1, len(step.samples))
    after = Note(note.asked + len(step.samples), step.size, seconds)
    place.keep(after)
    return after, step


def _of(heard: Heard, total: int | None, done: int) -> None:
    heard(done, total)


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)
