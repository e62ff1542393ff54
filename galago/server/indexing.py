"""Indexing that a person has begun on the page: how far it is, and its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice

from pydantic import BaseModel, Field

from galago.errors import GalagoError
from galago.progress import Stage
from galago.server.album_parts import Indexer, IndexRun
from galago.server.background import Background, Check
from galago.server.problems import Problem, readable

__all__ = ["IndexState", "Indexing"]

_NAMED = 50  # files that can't be read, named one by one
_WAY = 5.0  # seconds at most that a batch waits for answers on their way
_SETTLED = 1.0  # seconds of work before a rate means something
_PATH = 4096  # characters


class Unread(BaseModel):
    path: str
    reason: str


class Indexed(BaseModel):
    """What a run came to, in files."""

    photos: int = Field(description="In the album now.")
    new: int
    known: int = Field(description="Seen before under another name.")
    unchanged: int
    gone: int
    bad: int = Field(description="Files that can't be read.")
    seconds: float


class IndexState(BaseModel):
    """How far indexing is; of `result` and `problem` the one that the last run came to, if any."""

    refusal: str | None = Field(
        default=None, description="Why this visitor may not index; else null."
    )
    running: bool = False
    number: int = Field(default=0, description="Of the run, counted since the server began.")
    folders: list[str] = Field(default=[], description="Those of the run; none: all of the album.")
    stage: str | None = Field(default=None, description="What is being done.")
    waiting: bool = Field(
        default=False, description="For another galago, which has the album's lock."
    )
    done: int = 0
    total: int = Field(default=0, description="Files to look into; 0 until that is known.")
    rate: float | None = Field(default=None, description="Files a second.")
    left: float | None = Field(default=None, description="Seconds, as far as that can be told.")
    bad: int = Field(default=0, description="Files and folders that can't be read.")
    unread: list[Unread] = Field(default=[], description="The first of them.")
    stopped: bool = False
    result: Indexed | None = None
    problem: str | None = None
    album: list[str] = Field(default=[], description="The folders that make up the album so far.")


class Indexing:
    """One run at a time.  `busy`: whether somebody is being answered, who then comes first."""

    def __init__(self, indexer: Indexer | None, busy: Callable[[], bool]) -> None:
        self._indexer, self._busy = indexer, busy
        self._work: Background[Indexed] = Background("indexing")
        self._beginning = threading.Lock()
        self._run: IndexRun | None = None
        self._folders: list[str] = []
        self._forget()

    def _forget(self) -> None:
        self._stage: Stage | None = None
        self._waiting = False
        self._done = self._total = 0
        self._since = self._last = 0.0

    def begin(self, folder: str | None) -> None:
        """Start with a folder, or all those of the album.

        Problem 400 for what is no folder, 409 while a run is under way.
        """
        if self._indexer is None:
            raise Problem(404, "this server has no album to index", code="no_album")
        run = self._indexer.run([_named(folder)] if folder is not None else [])
        began = time.monotonic()

        def work(check: Check) -> Indexed:
            check()
            run.go(self._report)
            tally = run.tally
            return Indexed(
                photos=tally.photos,
                new=tally.encoded,
                known=tally.known,
                unchanged=tally.unchanged,
                gone=tally.gone,
                bad=tally.noted + len(tally.failed) + len(tally.unread),
                seconds=round(time.monotonic() - began, 1),
            )

        with self._beginning:
            self._work.must_be_free()
            self._run, self._folders = run, [] if folder is None else [folder]
            self._forget()
            self._work.begin(work)

    def stop(self) -> None:
        """End the run, if there is one; what is in the album stays."""
        self._work.stop()

    def close(self, seconds: float) -> None:
        """As the server ends; a batch on its way has so long."""
        self._work.stop()
        if self._run is not None:
            self._run.give_up()
        self._work.close(seconds)

    def _report(self, stage: Stage, done: int, total: int) -> None:
        """From the run's thread; lets whoever is being answered go first."""
        self._work.check()
        now = time.monotonic()
        self._waiting = stage == "waiting" or (stage.lasting and not self._total)
        if stage != "waiting":  # what is waited for stands there in words already
            self._stage = stage
        if total and not self._total:
            self._since = self._last = now
        self._done, self._total = done, total
        if total:
            self._work.pause(min(now - self._last, _WAY), lambda: not self._busy())
            self._last = time.monotonic()

    def state(self) -> IndexState:
        """For a visitor who may know."""
        work, done, total = self._work, self._done, self._total
        spent = time.monotonic() - self._since
        rate = done / spent if total and done and spent > _SETTLED else None
        tally = self._run.tally if self._run is not None else None
        bad = len(tally.failed) + len(tally.unread) + len(tally.unreadable) if tally else 0
        return IndexState(
            running=work.running,
            number=work.number,
            folders=[readable(folder) for folder in self._folders],
            stage=self._stage,
            waiting=work.running and self._waiting,
            done=done,
            total=total,
            rate=round(rate, 2) if rate and work.running else None,
            left=round((total - done) / rate, 1) if rate and work.running else None,
            bad=bad,
            unread=[
                Unread(path=readable(path), reason=readable(reason))
                for path, reason in islice(self._unread(), _NAMED)
            ],
            stopped=work.stopped,
            result=work.result,
            problem=readable(work.problem) if work.problem else None,
            album=self._album(),
        )

    def _unread(self) -> Iterator[tuple[str, str]]:
        if self._run is None:
            return iter(())
        tally = self._run.tally
        # Copies: they grow meanwhile.
        return chain(list(tally.failed), list(tally.unread), list(tally.unreadable.items()))

    def _album(self) -> list[str]:
        try:
            folders = self._indexer.folders() if self._indexer is not None else []
        except GalagoError:  # the page tells of an album that can't be opened
            return []
        return [readable(folder) for folder in folders]


def _named(folder: str) -> str:
    """A whole path; Problem 400 for one that would depend on where the server was started."""
    if len(folder) > _PATH:
        raise Problem(400, f"a path has at most {_PATH} characters", param="folder")
    path = os.path.expanduser(folder.strip())
    if not os.path.isabs(path):
        told = "name a whole path, such as ~/Pictures or one from the root of the disk"
        raise Problem(400, told, param="folder")
    return path
