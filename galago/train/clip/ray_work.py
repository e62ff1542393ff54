"""Tasks done by actors of Ray, each begun once: as workers.py has it, on all machines of a cluster.

What an actor tells of a task comes when the task ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import GalagoError, OptionError, StorageError
from galago.scale.ray_start import begun, check_version, gpus, room
from galago.train.clip.workers import DEATHS, THREADS, Begin, Told, check, last_words
from galago.version import __version__

__all__ = ["ray_work"]

_LOOK = 5.0  # seconds between looks at what the cluster has
_PATIENCE = 6  # looks, after which it is told that nobody is free yet
_BIRTHS = 5  # actors that may die in a row before one of them has begun


class _Actor:
    """What runs on the nodes."""

    def begin(self, begin: Begin, version: str) -> tuple[str, Any]:
        """Load what tasks need; ("begun", None), or what ends the work."""
        other = check_version(version)
        if other:
            return "broken", other
        for name in THREADS:
            os.environ[name] = "1"
        self._said: list[Any] = []
        try:
            self._do = begin(self._said.append)
        except Exception as error:
            kind, what = last_words(error)
            return kind, f"{socket.gethostname()}: {what}" if isinstance(what, str) else what
        return "begun", None

    def do(self, task: Any) -> tuple[str, Any, list[Any]]:
        """("done", None) or ("failed", why) or what ends the work, and what there is to tell."""
        self._said.clear()
        try:
            self._do(task, self._said.append)
        except StorageError as error:
            return *last_words(error), self._said
        except GalagoError as error:
            return "failed", str(error), self._said
        except Exception as error:
            return *last_words(error), self._said
        return "done", None, self._said


@dataclass
class _Hand:
    """An actor; `answer`: of what it was asked last; task None: to begin."""

    actor: Any
    answer: Any
    task: Any = None


def ray_work(
    begin: Begin, tasks: Sequence[Any], address: str, most: int, *, gpu: bool = False
) -> Iterator[Told]:
    """Do the tasks, by as many actors as the cluster has processors and `most` at most, and tell
    what comes.

    begin: picklable.  gpu: each has a GPU of its own where the cluster has any, as an actor sees
    none that it didn't ask for.

    Raises GalagoError for what it raises, and for a task in which actors died twice; OptionError
    for an address where no cluster answers, and for a node with another galago.
    """
    with begun(address) as ray:
        yield from _Work(ray, begin, tasks, most, gpu).run()


class _Work:
    def __init__(self, ray: Any, begin: Begin, tasks: Sequence[Any], most: int, gpu: bool) -> None:
        self._ray, self._begin, self._most, self._gpu = ray, begin, most, gpu
        self._pending, self._deaths = deque(tasks), Counter[int]()
        self._hands: list[_Hand] = []
        self._stillborn = self._looks = 0

    def run(self) -> Iterator[Told]:
        try:
            while self._pending or any(hand.task is not None for hand in self._hands):
                self._call()
                answers = {hand.answer: hand for hand in self._hands}
                ready, _ = self._ray.wait(list(answers), timeout=_LOOK)
                self._looks += 1
                if self._looks == _PATIENCE and all(hand.task is None for hand in self._hands):
                    yield Told("waiting")
                for answer in ready:
                    yield from self._hear(answers[answer])
        finally:
            for hand in self._hands:
                self._dismiss(hand)

    def _call(self) -> None:
        """As many actors as there is room for, and work."""
        busy = sum(hand.task is not None for hand in self._hands)
        there = gpus(self._ray) if self._gpu else 0
        wanted = min(self._most, there or room(self._ray), len(self._pending) + busy)
        while len(self._hands) < wanted:
            made = self._ray.remote(_Actor)
            asked = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
            actor = made.options(**asked | ({"num_gpus": 1} if there else {})).remote()
            self._hands.append(_Hand(actor, actor.begin.remote(self._begin, __version__)))

    def _hear(self, hand: _Hand) -> Iterator[Told]:
        try:
            kind, what, *said = self._ray.get(hand.answer)
        except self._ray.exceptions.RayTaskError as error:
            why = " ".join(str(error.cause).split())[:200]
            raise GalagoError(f"a node can't do this ({why}): is galago the same on all?") from None
        except self._ray.exceptions.RayError:
            yield from self._bury(hand)
            return
        for one in said[0] if said else ():
            yield Told("said", hand.task, one)
        check(kind, what)
        if kind in ("done", "failed"):
            yield Told(kind, hand.task, what)
        self._stillborn = 0
        if self._pending:
            hand.task = self._pending.popleft()
            hand.answer = hand.actor.do.remote(hand.task)
        else:
            self._hands.remove(hand)
            self._dismiss(hand)

    def _bury(self, hand: _Hand) -> Iterator[Told]:
        """An actor has died; its task begins again."""
        self._hands.remove(hand)
        if hand.task is None:
            self._stillborn += 1
            if self._stillborn >= _BIRTHS:
                raise OptionError(
                    f"{_BIRTHS} actors died while they began: is there memory for them, and galago "
                    "on all nodes?"
                )
            return
        self._deaths[id(hand.task)] += 1
        if self._deaths[id(hand.task)] >= DEATHS:
            name = getattr(hand.task, "name", hand.task)
            raise GalagoError(
                f"{name}: an actor died twice in it. What is done is kept; with a smaller --batch "
                "each needs less memory"
            )
        self._pending.appendleft(hand.task)
        yield Told("killed", hand.task)

    def _dismiss(self, hand: _Hand) -> None:
        with contextlib.suppress(Exception):  # it may be gone, and the cluster as well
            self._ray.kill(hand.actor)
