"""Taking connections from a socket that several processes listen on: whoever is least busy first.

All of them are woken by a new connection, and the system gives it to the quickest.  asyncio's own
server would take whatever waits, so that one process has it all while another one idles; here who
is busy lets the others try before it.  What still waits then nobody was free for: of a row of
knocks it takes one, two, four …, or a flood of connections would be let in at the pace of that
wait, and who comes behind it as late.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable

__all__ = ["Accepting", "patience"]

_TURN, _MOST = 0.02, 0.1  # seconds that each answer under way delays taking a further connection
_FULL = 0.5  # seconds until another try, where this process can open no more files
_ROW = 0.05  # seconds: a knock so soon behind the last taking has waited since before it
_QUEUE = 128  # connections that wait at most, as the socket is told (run.listen)


def patience(busy: int) -> float:
    """Seconds that a process with so many answers under way leaves to others."""
    return min(_TURN * busy, _MOST)


class Accepting:
    """One process's share in a listening socket; closed like a server of asyncio."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        busy: Callable[[], int],
    ) -> None:
        """Takes connections from now on; `busy`: answers that this process has under way."""
        self._loop, self._listening, self._protocol, self._busy = loop, listening, protocol, busy
        self._later: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._many, self._taken = 1, -math.inf  # taken at once, and when some were last
        listening.setblocking(False)
        self._look()

    def close(self) -> None:
        """Take no more; connections that were taken go on."""
        self._closed = True
        self._loop.remove_reader(self._listening)
        if self._later is not None:
            self._later.cancel()

    async def wait_closed(self) -> None:
        """As a server of asyncio has it."""

    def _look(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening, self._woken)

    def _woken(self) -> None:
        """Somebody knocks."""
        self._loop.remove_reader(self._listening)
        busy = self._busy()
        in_row = busy and self._loop.time() - self._taken < _ROW
        self._many = min(2 * self._many, _QUEUE) if in_row else 1
        self._later = self._loop.call_later(patience(busy), self._take)

    def _take(self) -> None:
        try:
            for _ in range(self._many):
                connection, _ = self._listening.accept()
                self._taken = self._loop.time()
                task = self._loop.create_task(self._meet(connection))
                self._tasks.add(task)  # or it might be collected before it ends
                task.add_done_callback(self._tasks.discard)
        except (BlockingIOError, InterruptedError, ConnectionError):  # others have taken the rest
            pass
        except OSError:
            self._later = self._loop.call_later(_FULL, self._look)
            return
        self._look()

    async def _meet(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # it went away already
            connection.close()
