"""Messages over two pipes, and what their end tells."""

from __future__ import annotations

import os
import threading
from typing import Any

from galago.server.line import Line
from tests.helpers.waiting import until


def pair() -> tuple[Line, Line]:
    (a, b), (c, d) = os.pipe(), os.pipe()
    return (
        Line(os.fdopen(a, "rb"), os.fdopen(d, "wb")),
        Line(os.fdopen(c, "rb"), os.fdopen(b, "wb")),
    )


def test_who_does_not_read_holds_up_nobody() -> None:
    here, there = pair()
    heard: list[Any] = []
    ended = threading.Event()
    here.begin(lambda *_: None, lambda: None)
    here.say({"number": 1}, b"x" * (1 << 20))  # more than a pipe holds, and nobody listens yet
    here.say({"number": 2})
    here.close()
    there.begin(lambda head, body: heard.append((head["number"], len(body))), ended.set)
    assert until(ended.is_set)
    assert heard == [(1, 1 << 20), (2, 0)]
    there.close()


def test_what_is_no_message_ends_it() -> None:
    reading, writing = os.pipe()
    other = os.pipe()
    ended = threading.Event()
    line = Line(os.fdopen(reading, "rb"), os.fdopen(other[1], "wb"))
    line.begin(lambda *_: None, ended.set)
    os.write(writing, b"Traceback (most recent call last):\n")
    assert until(ended.is_set)
    line.close()
    os.close(writing)
    os.close(other[0])
