"""An answer's text as it comes -> pieces: words for the user, and calls of functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from galago.server.openai_forms import Shape
from galago.text.tools import CALL

__all__ = ["Arguments", "Begun", "Piece", "Pieces", "Words"]

_TAG = CALL[:-1]
_HEAD = re.compile(r'\n\{"name": "([^"]*)", "arguments": ')


@dataclass(frozen=True)
class Words:
    text: str


@dataclass(frozen=True)
class Begun:
    """A call of this function; its arguments follow."""

    name: str


@dataclass(frozen=True)
class Arguments:
    """A piece of a call's arguments, which are JSON."""

    text: str


Piece = Words | Begun | Arguments


class Pieces:
    """Of one answer; what its form (vlm/forms.call_form) says is what is found in it."""

    def __init__(self, shape: Shape) -> None:
        self._calls = shape.kind == "calls"
        self._anywhere = not shape.json  # JSON that holds the tag is no call
        self._held = ""
        self._opened = False
        self.called = False

    def push(self, text: str) -> list[Piece]:
        """The pieces that became certain with this text."""
        if not self._calls:
            return [Words(text)] if text else []
        if self.called:
            return [Arguments(text)] if text else []
        self._held += text
        found: list[Piece] = []
        if not self._opened:
            at = self._held.find(_TAG)
            self._opened = at == 0 or (at > 0 and self._anywhere)
            certain = at if self._opened else len(self._held) - self._undecided()
            words, self._held = self._held[:certain], self._held[certain:]
            if words:
                found.append(Words(words))
                if not self._anywhere:
                    self._calls = False
        if self._opened:
            found += self._begin()
        return found

    def finish(self) -> list[Piece]:
        """What was held back and is words after all."""
        rest = "" if self._opened else self._held
        self._held = ""
        return [Words(rest)] if rest else []

    def _undecided(self) -> int:
        """Characters at the end that may begin the tag."""
        most = min(len(_TAG) - 1, len(self._held))
        return next((n for n in range(most, 0, -1) if _TAG.startswith(self._held[-n:])), 0)

    def _begin(self) -> list[Piece]:
        head = _HEAD.match(self._held, len(_TAG))
        if head is None:
            return []
        self.called = True
        rest, self._held = self._held[head.end() :], ""
        return [Begun(head[1]), *([Arguments(rest)] if rest else [])]
