"""Workers as actors of Ray: on this machine's processors, or on all of a cluster's.

Actors are Ray's, what to do with their deaths is ours: pictures that were in the hands of one that
died go to another, in halves when it happens again, and one that costs four their lives becomes a
row with an error, where Ray would send it round for ever.  Listing stays lazy: a chunk is taken
when a worker is free, where Ray Data wants to know all of them before it begins.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from galago.errors import GalagoError, OptionError
from galago.progress import Progress, Stage, silent
from galago.scale.crew import Chunk
from galago.scale.ray_start import begun, check_version, room, short
from galago.scale.rows import Batch, Made, Row
from galago.scale.worker import Work, Worker, open_worker
from galago.version import __version__

__all__ = ["RayCrew"]

_AHEAD = 2  # chunks of an actor: one is opened while the other is in the model
_IDLE = 0.2  # seconds, while workers are born
_LOOK = 5.0  # seconds between looks at what the cluster has
_TRIES = 4  # deaths of a single picture's workers, the last two with nothing beside it
_BIRTHS = 5  # workers that may die in a row before one of them has opened its models


@dataclass
class _Job:
    """Pictures to do; one that has cost workers their lives twice is done alone: neighbours die."""

    chunk: Chunk
    deaths: int = 0

    @property
    def weight(self) -> int:
        return _AHEAD if self.deaths > 1 else 1


@dataclass
class _Hand:
    """An actor; `born` is the answer to its opening, until that has come."""

    actor: Any
    born: Any
    ready: bool = False
    holds: int = 0


class _Actor:
    """What runs on the nodes."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def open(self, work: Work, version: str) -> Made | str:
        """Open the models; what a person can mend comes back as a line."""
        here = socket.gethostname()
        if work.offline:  # for everything that is started here
            os.environ["HF_HUB_OFFLINE"] = "1"
        other = check_version(version)
        if other:
            return other
        try:
            self._worker = open_worker(work)
        except GalagoError as error:
            return f"{here}: {error}"
        return self._worker.made

    def work(self, chunk: Chunk) -> Batch:
        assert self._worker is not None
        return self._worker(chunk)


@dataclass
class RayCrew:
    """Actors of Ray; `address` is "local" for a Ray of our own on this machine, which ends with us.

    A context manager.  Raises MissingExtraError without Ray, OptionError for an address where no
    cluster answers, and for nodes with another galago or Ray.
    """

    work: Work
    address: str
    progress: Progress = silent
    _hands: list[_Hand] = field(default_factory=list)
    _running: dict[Any, tuple[_Hand, _Job]] = field(default_factory=dict)
    _made: Made | None = None
    _stillborn: int = 0
    _deaths: int = 0
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> RayCrew:
        with warnings.catch_warnings():  # children of Ray's start run other programs at once
            warnings.filterwarnings("ignore", message="lance is not fork-safe")
            self._ray = self._open.enter_context(begun(self.address, self.work.threads or 1))
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            with contextlib.suppress(Exception):  # it may be gone, and the cluster as well
                self._ray.kill(hand.actor)
        self._open.close()

    @property
    def made(self) -> Made:
        """Of the first actor that has opened its models; a full cluster is waited for."""
        told = False
        began = time.monotonic()
        while self._made is None:
            self._look_after()
            self._ray.wait([hand.born for hand in self._hands], timeout=1.0)
            if not told and time.monotonic() - began > 30:
                line = "waiting for a free processor of the cluster, or for models to be fetched"
                self.progress(Stage(line, lasting=True), 0.0)
                told = True
        return self._made

    def run(self, chunks: Iterable[Chunk]) -> Iterator[Batch]:
        """As Crew.run."""
        source, again, looked = iter(chunks), deque[_Job](), 0.0
        ended = False  # of the source; that nobody is at work may mean that all have died
        while not ended or self._running or again:
            if time.monotonic() - looked > _LOOK or not any(hand.ready for hand in self._hands):
                self._look_after()
                looked = time.monotonic()
            for hand in self._hands:
                while hand.ready and hand.holds < _AHEAD:
                    job = again[0] if again else _next(source)
                    if job is None:
                        ended = True
                        break
                    if hand.holds + job.weight > _AHEAD:
                        break
                    if again:
                        again.popleft()
                    hand.holds += job.weight
                    self._running[hand.actor.work.remote(job.chunk)] = (hand, job)
            if not ended or self._running or again:
                yield from self._done(again)

    def _done(self, again: deque[_Job]) -> Iterator[Batch]:
        """What has come back; the pictures of the dead go into `again`."""
        if not self._running:  # nobody is ready
            time.sleep(_IDLE)
            return
        # All of them at once: looking costs as much as there are, and there may be thousands.
        asked = list(self._running)
        self._ray.wait(asked, timeout=1.0)
        ready, _ = self._ray.wait(asked, num_returns=len(asked), timeout=0)
        before, why = self._deaths, ""
        for answer in ready:
            hand, job = self._running.pop(answer)
            hand.holds -= job.weight
            try:
                yield self._ray.get(answer)
            except self._ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, GalagoError):
                    raise
                raise error.cause from None
            except self._ray.exceptions.RayError as error:
                self._bury(hand)
                why = type(error).__name__  # OutOfMemoryError, ActorDiedError …
                lost = _shared_out(job)
                if isinstance(lost, Batch):
                    yield lost
                else:
                    again.extend(lost)
        if self._deaths > before:
            died = self._deaths - before
            told = "a worker has" if died == 1 else f"{died:,} workers have"
            told += f" died: others get what they had in hand ({self._deaths:,} so far; {why})"
            self.progress(Stage(told, lasting=True), 0.0)

    def _bury(self, hand: _Hand) -> None:
        """An actor has died; its other chunk comes back as an error of its own."""
        if hand in self._hands:
            self._hands.remove(hand)
            self._deaths += 1
            self._look_after()

    def _look_after(self) -> None:
        """As many actors as the cluster has room for; which of them have opened their models."""
        while len(self._hands) < room(self._ray, self.work.threads or 1):
            self._hands.append(self._born())
        unborn = {one.born: one for one in self._hands if not one.ready}
        born = list(unborn)
        for answer in self._ray.wait(born, num_returns=len(born), timeout=0)[0] if born else ():
            hand = unborn[answer]
            try:
                self._greet(hand, self._ray.get(hand.born))
            except self._ray.exceptions.RayTaskError as error:
                raise OptionError(f"a worker can't open its models: {error.cause}") from None
            except self._ray.exceptions.RayError as error:
                self._hands.remove(hand)
                self._stillborn += 1
                if self._stillborn >= _BIRTHS:
                    raise OptionError(
                        f"{_BIRTHS} workers died while they opened their models "
                        f"({short(error)}): is there memory for them, and galago on all nodes?"
                    ) from None

    def _greet(self, hand: _Hand, made: Made | str) -> None:
        if isinstance(made, str):
            raise OptionError(made)
        if self._made is None:
            self._made = made
        elif made != self._made:
            raise OptionError(
                f"the nodes have different models called {made.model}: fetch it anew on all, or "
                "give a folder that they share"
            )
        hand.ready, self._stillborn = True, 0

    def _born(self) -> _Hand:
        options = self._ray.remote(_Actor).options(
            num_cpus=self.work.threads, max_restarts=0, max_task_retries=0, max_concurrency=_AHEAD
        )
        actor = options.remote()
        return _Hand(actor, actor.open.remote(self.work, __version__))


def _next(source: Iterator[Chunk]) -> _Job | None:
    chunk = next(source, None)
    return None if chunk is None else _Job(chunk)


def _shared_out(job: _Job) -> list[_Job] | Batch:
    """Pictures whose worker died: the same once more, then halves, then a row with an error."""
    deaths, chunk = job.deaths + 1, job.chunk
    if len(chunk) > 1 and deaths > 1:
        half = len(chunk) // 2
        return [_Job(chunk[:half], 1), _Job(chunk[half:], 1)]
    if len(chunk) > 1 or deaths < _TRIES:
        return [_Job(chunk, deaths)]
    item = chunk[0]
    why = f"whoever looks at it dies ({deaths} times): too little memory, or a fault"
    return Batch([Row(item.name, item.size, item.modified, error=why)])
