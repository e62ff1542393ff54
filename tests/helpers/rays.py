"""A Ray whose actors live in this process and die when a test says so."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from galago.scale.crew import Chunk
from galago.scale.rows import Batch, Row
from tests.helpers.tables import MADE

__all__ = ["FakeRay", "need_ray"]


def need_ray() -> None:
    """Without importing it: Ray takes how it is spoken to, with a token, as it is imported."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra cluster", allow_module_level=True)


class RayError(Exception):
    """As ray.exceptions has it."""


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class _Actor:
    def __init__(self, ray: FakeRay) -> None:
        self.ray, self.alive, self.held = ray, True, 0
        self.open = SimpleNamespace(remote=lambda *_: _Answer(self, ray.opened))
        self.work = SimpleNamespace(remote=lambda chunk: _Answer(self, self._worked, chunk))

    def _worked(self, chunk: Chunk) -> Batch:
        if self.ray.dies(chunk):
            self.alive = False
        if not self.alive:
            raise RayError("the actor died")
        return Batch([Row(item.name) for item in chunk])


class _Answer:
    """Known when it is asked for, in the order of asking."""

    def __init__(self, actor: _Actor, made: Callable[..., Any], *arguments: Any) -> None:
        self.actor, self.made, self.arguments = actor, made, arguments
        self.looks = 0
        if arguments:
            actor.held += 1
            actor.ray.most = max(actor.ray.most, actor.held)


class FakeRay:
    """`cpus` processors; `dies` says whether a chunk costs its actor its life; an actor has opened
    its models when it has been looked at `slow` times."""

    def __init__(
        self, cpus: int = 2, dies: Callable[[Chunk], bool] = lambda chunk: False,
        opened: Callable[[], Any] = lambda: MADE, slow: int = 0,
    ) -> None:  # fmt: skip
        self.cpus, self.dies, self.opened, self.slow = cpus, dies, opened, slow
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.born = self.most = self.killed = self.waits = 0
        self.ended = False

    def init(self, *_: Any, **__: Any) -> None: ...

    def shutdown(self) -> None:
        self.ended = True

    def kill(self, actor: Any) -> None:
        self.killed += 1

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": float(self.cpus)}},
            {"Alive": False, "Resources": {}},
        ]

    def remote(self, _: type) -> Any:
        def born() -> _Actor:
            self.born += 1
            return _Actor(self)

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=born))

    def wait(
        self, answers: list[_Answer], num_returns: int = 1, timeout: float = 0
    ) -> tuple[list[_Answer], list[_Answer]]:
        self.waits += 1
        known: list[_Answer] = []
        for answer in answers:
            if len(known) == num_returns:
                break
            answer.looks += 1
            if answer.arguments or answer.looks > self.slow:
                known.append(answer)
        return known, [answer for answer in answers if answer not in known]

    def get(self, answer: _Answer) -> Any:
        if answer.arguments:
            answer.actor.held -= 1
        return answer.made(*answer.arguments)
