"""Long work in a thread of its own."""

from __future__ import annotations

import threading

import pytest

from galago.errors import StorageError
from galago.server.background import Background, Check
from galago.server.problems import Problem
from tests.helpers.waiting import until


def test_one_at_a_time_and_its_result() -> None:
    work: Background[int] = Background("counting")
    go = threading.Event()

    def count(check: Check) -> int:
        assert go.wait(30)
        return 7

    work.begin(count)
    with pytest.raises(Problem, match="counting is under way already") as refused:
        work.begin(count)
    assert refused.value.status == 409 and work.result is None
    go.set()
    assert until(lambda: not work.running)
    assert (work.result, work.problem, work.stopped, work.number) == (7, None, False, 1)
    work.begin(count)
    assert until(lambda: not work.running) and work.number == 2


def test_what_it_raises_is_told_and_being_stopped_is_no_fault() -> None:
    work: Background[None] = Background("counting")

    def full(check: Check) -> None:
        raise StorageError("the disk is full: make room")

    work.begin(full)
    assert until(lambda: not work.running)
    assert (work.problem, work.stopped) == ("the disk is full: make room", False)

    def runs(check: Check) -> None:
        while True:
            check()

    work.begin(runs)
    assert work.problem is None
    work.stop()
    assert until(lambda: not work.running)
    assert (work.problem, work.stopped) == (None, True)


def test_a_closed_one_ends_what_runs_and_begins_nothing() -> None:
    work: Background[None] = Background("counting")

    def waits(check: Check) -> None:
        work.pause(60, lambda: False)

    work.begin(waits)
    work.close(30)
    assert work.stopped and not work.running
    with pytest.raises(Problem, match="stopping"):
        work.begin(waits)
