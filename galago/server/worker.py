"""The place of one of several processes behind a port, as a Supervisor hands it out."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from galago.media.worker import receive, send
from galago.server import handing
from galago.server.colleagues import Colleagues
from galago.server.line import Head, Line

__all__ = ["Place", "take_place"]

_MOST = 1 << 20  # bytes of a socket's description


@dataclass
class Place:
    """`number` from 1 to `count`; `given`: what to serve.  `stop` ends the server from outside
    where signals can't (Windows); until it is set, the process is ended as it stands."""

    number: int
    count: int
    given: Head
    listening: socket.socket
    line: Line
    colleagues: Colleagues
    stop: Callable[[], None] | None = None

    def ready(self, told: Head) -> None:
        """The server answers from now on."""
        self.line.say({"do": "ready", "told": told})

    def _leave(self) -> None:
        """Whoever started this process wants its end, or is gone."""
        if sys.platform != "win32":
            os.kill(os.getpid(), signal.SIGTERM)  # as from outside: last_resort sees it too
        elif self.stop is not None:
            self.stop()
        else:
            os._exit(0)


def take_place() -> Place:
    """Of a process started by a Supervisor: takes stdin and stdout for itself, before all else.

    What others write to stdout goes to stderr.  Raises EOFError when nobody hands out a place.
    """
    reading, writing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    try:
        send(writing, {"do": "here", "process": os.getpid()})
    except OSError:
        raise EOFError from None
    head, given = receive(reading, _MOST)
    if head["do"] != "place":  # all end already
        raise EOFError
    listening = handing.take(given)
    number, count, line = head["number"], head["count"], Line(reading, writing)
    place = Place(number, count, head["given"], listening, line, Colleagues(number, count, line))

    def heard(head: Head, body: bytes) -> None:
        if head["do"] == "stop":
            place._leave()
        else:
            place.colleagues.heard(head, body)

    line.begin(heard, place._leave)
    return place
