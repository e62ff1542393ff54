"""What long work says while it runs."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "Stage", "silent"]


class Stage(str):
    """A stage of a long job, in words.

    `lasting`: its words must stay to be read (a licence, a lock that is waited for, the figures of
    a conversion), where others may make room for the next.
    """

    __slots__ = ("lasting",)

    lasting: bool

    def __new__(cls, text: str, *, lasting: bool = False) -> Stage:
        stage = super().__new__(cls, text)
        stage.lasting = lasting
        return stage


Progress = Callable[[Stage, float], None]
"""Told a stage and how much of it is done, 0..1; called from any thread."""


def silent(stage: Stage, share: float) -> None:
    """Nobody listens."""
