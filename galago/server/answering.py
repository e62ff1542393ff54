"""Which model answers: the one of the server, or the quick one that is kept for live pictures."""

from __future__ import annotations

import threading

from galago import catalog
from galago.errors import GalagoError
from galago.server.parts import LiveVlm, Parts, Vlm
from galago.server.pictures import Pictures
from galago.server.problems import Problem

__all__ = ["Answering"]


class Answering:
    """The models that answer, and the pictures that each has looked at.

    The live one is opened when it is first asked; one that can't be opened is offered no more.
    """

    def __init__(self, parts: Parts, keep: int) -> None:
        self._keep = keep
        self._name = parts.vlm.name
        self._open: dict[str, tuple[Vlm, Pictures]] = {
            self._name: (parts.vlm, Pictures(parts.vlm, keep))
        }
        self._live: LiveVlm | None = parts.live
        self._opening = threading.Lock()

    @property
    def live(self) -> str | None:
        """The name of the model that live pictures are for; None where one model does it all."""
        live = self._live
        return None if live is None else live.name

    def names(self) -> list[str]:
        """All that may be asked, the server's own first."""
        return [self._name, *([self.live] if self.live is not None else [])]

    def named(self, name: str) -> str:
        """The model that a request means; Problem 404 for one that isn't here."""
        row = catalog.find(name) if name else None
        for one in self.names():
            if name in ("", one) or (row is not None and row.name == one):
                return one
        here = " or ".join(self.names())
        raise Problem(
            404,
            f"no model is called {name[:100]!r} here: this server answers with {here}",
            code="model_not_found",
            param="model",
        )

    def of(self, name: str) -> tuple[Vlm, Pictures]:
        """The model of that name and its pictures; Problem 503 when it can't be opened any more."""
        if (found := self._open.get(name)) is not None:
            return found
        with self._opening:
            if name not in self._open:
                self._open[name] = self._opened(name)
            return self._open[name]

    def _opened(self, name: str) -> tuple[Vlm, Pictures]:
        live = self._live
        if live is None or live.name != name:
            raise Problem(503, f"{name} can't be used: ask {self._name}", code="model_closed")
        try:
            vlm = live.load()
        except GalagoError as error:
            self._live = None
            told = f"{name} can't be opened ({error}): {self._name} answers"
            raise Problem(503, told, code="model_closed", retry_after=1) from None
        return vlm, Pictures(vlm, self._keep)
