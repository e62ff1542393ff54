"""Several processes behind one port: whoever dies is replaced, and none outlives the others."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from galago.server.supervisor import _how
from tests.helpers.commandline import POSIX_ONLY
from tests.helpers.serving import Reply, ask
from tests.helpers.waiting import until
from tests.helpers.workers import Supervised, lives, start, supervised


def test_an_end_has_a_name() -> None:
    assert _how(7) == "exit code 7" and _how(-9) == "SIGKILL" and _how(-99) == "signal 99"


@POSIX_ONLY
@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_a_dead_worker_is_told_and_replaced(tmp_path: Path, number: int) -> None:
    with supervised(tmp_path) as found:
        before = found.both()
        assert ask(f"{found.url}/api/index").json["worker"] == 1
        os.kill(before[number], signal.SIGKILL)
        line = found.out.readline()
        assert line.startswith(f"told worker {number} has ended (SIGKILL)")
        assert until(lambda: found.pid(number) not in (0, before[number]), 60)
        after = found.both()
        assert after[3 - number] == before[3 - number]  # nobody else was touched
        told = ask(f"{found.url}/api/index").json
        assert told["worker"] == 1 and told["pid"] == after[1]
        # One that is born anew opens what the others have.
        assert told["given"] == ("to the first" if number == 2 else "of the first")


@POSIX_ONLY
@pytest.mark.slow
def test_workers_behind_a_launcher_get_their_socket(tmp_path: Path) -> None:
    with supervised(tmp_path, launched=True) as found:
        before = found.both()
        assert ask(f"{found.url}/api/index").json["pid"] == before[1]
        os.kill(before[2], signal.SIGKILL)
        assert until(lambda: found.pid(2) not in (0, before[2]), 60)
        pids = found.both().values()
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(30) == 0 and not any(map(lives, pids))


def begun_answer(found: Supervised) -> tuple[threading.Thread, list[Reply]]:
    """A request that takes a second, once a worker has it."""
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(ask(f"{found.url}/wait")))
    thread.start()
    assert until(lambda: found.pid("waits"))
    return thread, replies


@POSIX_ONLY
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stopped_all_end_and_answers_on_their_way_too(tmp_path: Path, how: signal.Signals) -> None:
    with supervised(tmp_path) as found:
        pids = found.both().values()
        thread, replies = begun_answer(found)
        found.process.send_signal(how)
        thread.join(30)
        assert replies[0].status == 200
        assert found.process.wait(30) == 0 and not any(map(lives, pids))


@POSIX_ONLY
@pytest.mark.slow
def test_workers_end_when_who_started_them_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path) as found:
        pids = found.both().values()
        found.process.kill()
        assert until(lambda: not any(map(lives, pids)))


@POSIX_ONLY
@pytest.mark.slow
def test_a_first_that_cannot_begin_ends_it_with_its_own_line(tmp_path: Path) -> None:
    out, err = (found := start("nothing", tmp_path)).process.communicate(timeout=120)
    assert found.process.returncode == 2 and not out
    assert err == "galago: no such model\n"
