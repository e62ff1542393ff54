"""Messages between a server's processes over two pipes; who doesn't read holds up nobody.

A pipe that ends tells each side that the other one is gone, however it went and on every system.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from galago.media.worker import receive, send

__all__ = ["Head", "Line"]

Head = dict[str, Any]


class Line:
    """What is said goes out in a thread of its own; what is heard is told in another one."""

    def __init__(self, reading: IO[bytes], writing: IO[bytes]) -> None:
        """Takes both pipes as its own."""
        self._reading, self._writing = reading, writing
        self._out: queue.SimpleQueue[tuple[Head, bytes] | None] = queue.SimpleQueue()

    def begin(self, heard: Callable[[Head, bytes], None], ended: Callable[[], None]) -> None:
        """`heard` is told each message, `ended` once that no more can come; both in one thread."""

        def listen() -> None:
            # A message that is none ends it too: what wrote it is no process of ours any more.
            with self._reading, contextlib.suppress(EOFError, OSError, ValueError):
                while True:
                    heard(*receive(self._reading, sys.maxsize))
            ended()

        for work in (listen, self._write):
            threading.Thread(target=work, name="galago-line", daemon=True).start()

    def say(self, head: Head, body: bytes = b"") -> None:
        """Send a message, now or as soon as the other side reads; never waits."""
        self._out.put((head, body))

    def close(self) -> None:
        """End our side when all that was said is out."""
        self._out.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (message := self._out.get()) is not None:
                send(self._writing, *message)
        with contextlib.suppress(OSError):
            self._writing.close()
