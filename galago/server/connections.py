"""Connections with patience for nobody who keeps one idle, and room for who comes new."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from galago.server.intake import network_of

__all__ = ["Impatient"]

_HEAD_SECONDS = 10.0  # until a request's head must be complete
_SPEAKS = 0.1  # seconds: who has a question sends its head right behind its knock
_CONNECTIONS = 256
_EACH = 192  # of one address
_READ = 8192  # bytes parsed in one turn of the loop; others have theirs in between
_CHUNKS = 1000  # of one body, from which on they must be as large as this on average:
_CHUNK = 64  # bytes


class Impatient(H11Protocol, asyncio.BufferedProtocol):
    """Closes connections whose request doesn't come (slow-loris), and the oldest of too many."""

    _late: asyncio.TimerHandle | None = None
    _since = 0.0
    network = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._buffer = bytearray(_READ)
        self.conn = _Wary(h11.SERVER)
        self._since = self.loop.time()
        self.network = network_of(self.client[0] if self.client else "")
        self._make_room()
        if not transport.is_closing():
            self._wait()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # the rest of what was read before
            return
        super().data_received(data)
        if self._idle:
            if self._late is None:
                self._wait()
        elif self._late is not None:
            self._late.cancel()
            self._late = None

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # answered already, or about to be
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way, or, just after it came, a first question."""
        if self.cycle is None:
            return self.loop.time() - self._since < _SPEAKS
        return not self.cycle.response_complete

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        """Of too many, close one of who has most.

        Of its own the longest idle, first one that never asked; then one whose body hasn't come;
        one that is being answered only for somebody who has fewer.
        """
        there = [cast(Impatient, one) for one in self.connections]
        there = [one for one in there if not one.transport.is_closing()]
        many = Counter(one.network for one in there)
        if many[self.network] > _EACH:
            there = [one for one in there if one.network == self.network]
        elif len(there) <= _CONNECTIONS:
            return
        others = [one for one in there if one is not self]
        found = [one for one in others if one._idle or one.cycle.more_body]
        if not found:
            found = [one for one in others if many[one.network] > many[self.network]]
        oldest = min(
            found,
            key=lambda one: (
                -many[one.network],
                not one._idle,
                one.cycle is not None,
                one._since,
            ),
            default=self,
        )
        oldest.transport.abort()

    def _wait(self) -> None:
        self._late = self.loop.call_later(_HEAD_SECONDS, self._close)

    def _close(self) -> None:
        self._late = None
        if self._idle:
            self.transport.abort()


class _Wary(h11.Connection):
    """Refuses a body in crumbs: each chunk costs the loop as much as some kilobytes."""

    _chunks = _bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._bytes += len(event.data)
            if self._chunks > _CHUNKS and self._bytes < _CHUNK * self._chunks:
                raise h11.RemoteProtocolError("a body in crumbs")
        return event
