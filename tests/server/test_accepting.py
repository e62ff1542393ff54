"""Whoever is least busy takes a connection; told by a loop whose clock a test moves."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from galago.server.accepting import Accepting, patience


class Loop:
    """What a server asks of a loop, done when a test says so."""

    def __init__(self) -> None:
        self.watched: Callable[[], None] | None = None
        self.later: tuple[float, Callable[[], None]] | None = None
        self.taken: list[socket.socket] = []
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def add_reader(self, _: object, told: Callable[[], None]) -> None:
        self.watched = told

    def remove_reader(self, _: object) -> None:
        self.watched = None

    def call_later(self, seconds: float, work: Callable[[], None]) -> Any:
        self.later = seconds, work
        return self

    def cancel(self) -> None:
        self.later = None

    def create_task(self, work: Any) -> Any:
        with pytest.raises(StopIteration):
            work.send(None)
        return self

    def add_done_callback(self, _: object) -> None: ...

    async def connect_accepted_socket(self, _: object, connection: socket.socket) -> None:
        self.taken.append(connection)

    def knock(self) -> float:
        """Wake it, and let its time pass; the seconds that it let others go first."""
        assert self.watched is not None
        self.watched()
        assert self.later is not None and self.watched is None
        seconds, work = self.later
        self.now += seconds
        work()
        return seconds


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_who_is_busier_waits_longer() -> None:
    waits = [patience(busy) for busy in range(20)]
    assert waits[0] == 0 and waits == sorted(waits) and waits[1] < waits[2] and waits[-1] <= 0.1


def test_a_connection_is_taken_one_at_a_time(listening: socket.socket) -> None:
    loop, busy = Loop(), 0
    Accepting(loop, listening, lambda: None, lambda: busy)  # type: ignore[arg-type, return-value]
    with (
        socket.create_connection(listening.getsockname()),
        socket.create_connection(listening.getsockname()),
    ):
        assert loop.knock() == 0 and len(loop.taken) == 1
        busy = 2  # the next one is left to others, for a while
        assert loop.knock() == patience(2) and len(loop.taken) == 2
    assert loop.knock() > 0 and len(loop.taken) == 2 and loop.watched  # another one was quicker
    for one in loop.taken:
        assert not one.getblocking()
        one.close()


def test_a_flood_is_let_in_quicker_than_one_a_wait(listening: socket.socket) -> None:
    loop, answers = Loop(), 9
    Accepting(loop, listening, lambda: None, lambda: answers)  # type: ignore[arg-type, return-value]
    with contextlib.ExitStack() as stack:

        def knocks(count: int) -> None:
            for _ in range(count):
                stack.enter_context(socket.create_connection(listening.getsockname()))

        knocks(100)
        waits = 0
        while len(loop.taken) < 100:
            loop.knock()
            waits += 1
        assert waits == 7  # 1 + 2 + 4 + 8 + 16 + 32, and the rest
        loop.now += 1  # a while later nobody has waited: others are to have some of these
        knocks(2)
        loop.knock()
        assert len(loop.taken) == 101
        loop.now += 1
        answers = 0  # nor where nothing has to be waited for
        loop.knock()
        knocks(2)
        loop.knock()
        assert len(loop.taken) == 103
    for one in loop.taken:
        one.close()


def test_a_full_table_of_files_is_tried_again_later(listening: socket.socket) -> None:
    class Full:
        def setblocking(self, _: bool) -> None: ...

        def accept(self) -> None:
            raise OSError(24, "Too many open files")

    loop = Loop()
    Accepting(loop, Full(), lambda: None, lambda: 0)  # type: ignore[arg-type, return-value]
    loop.knock()
    assert loop.watched is None and loop.later is not None and loop.later[0] > 0
    loop.later[1]()
    assert loop.watched


def test_closed_it_takes_none(listening: socket.socket) -> None:
    loop = Loop()
    accepting = Accepting(loop, listening, lambda: None, lambda: 1)  # type: ignore[arg-type, return-value]
    assert loop.watched is not None
    loop.watched()
    accepting.close()
    assert loop.watched is None and loop.later is None
