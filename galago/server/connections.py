"""Connections with patience for nobody who keeps one idle, and room for who comes new."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from galago.server.intake import network_of

__all__ = ["Impatient"]

_HEAD_SECONDS = 10.0  # until a request's head must be complete
_CONNECTIONS = 256
_EACH = 192  # of one address


class Impatient(H11Protocol):
    """Closes connections whose request doesn't come (slow-loris), and the oldest of too many."""

    _late: asyncio.TimerHandle | None = None
    _since = 0.0
    network = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self.network = network_of(self.client[0] if self.client else "")
        self._make_room()
        if not transport.is_closing():
            self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._idle:
            if self._late is None:
                self._wait()
        elif self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        """Of too many, close the longest idle of who has most; one that never asked goes first."""
        there = [cast(Impatient, one) for one in self.connections]
        there = [one for one in there if not one.transport.is_closing()]
        many = Counter(one.network for one in there)
        if many[self.network] > _EACH:
            there = [one for one in there if one.network == self.network]
        elif len(there) <= _CONNECTIONS:
            return
        idle = [one for one in there if one._idle and one is not self]
        oldest = min(
            idle,
            key=lambda one: (-many[one.network], one.cycle is not None, one._since),
            default=self,
        )
        oldest.transport.abort()

    def _wait(self) -> None:
        self._late = self.loop.call_later(_HEAD_SECONDS, self._close)

    def _close(self) -> None:
        self._late = None
        if self._idle:
            self.transport.abort()
