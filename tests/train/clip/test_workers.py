"""Tasks in processes: each done once, told in order, and begun anew where one is killed."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from galago.errors import GalagoError, OptionError
from galago.train.clip.workers import NUMBER, Tell, lacks_memory, work

pytestmark = pytest.mark.slow


def begin(folder: str, tell: Tell) -> Callable[[Any, Tell], None]:
    """Notes in a file who did a task; a task "die-N" kills its process the first N times."""

    def do(task: str, tell: Tell) -> None:
        with open(Path(folder, task), "a") as file:
            file.write(f"{os.getpid()}\n")
        begun = len(Path(folder, task).read_text().splitlines())
        tell((task, os.environ["OMP_NUM_THREADS"]))
        if task.startswith("both"):
            tell(int(os.environ[NUMBER]))
        while task.startswith("both") and len([*Path(folder).glob("both-*")]) < 2:
            time.sleep(0.01)  # until another process has the other
        if task == "unread":
            raise OptionError("it can't be read")
        if task == "fault":
            raise KeyError("an own fault")
        if task == "full":
            raise OSError(28, "No space left on device")
        if task.startswith("die") and begun <= int(task[-1]):
            os.kill(os.getpid(), signal.SIGKILL)

    return do


def begin_badly(tell: Tell) -> Callable[[Any, Tell], None]:
    raise OptionError("no such teacher")


def begin_dead(tell: Tell) -> Callable[[Any, Tell], None]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def did(folder: Path, tasks: list[str], processes: int = 2) -> list[tuple[str, Any]]:
    told = work(functools.partial(begin, str(folder)), tasks, processes)
    return [(one.kind, one.task) for one in told if one.kind != "said"]


def times(folder: Path, task: str) -> int:
    return len(Path(folder, task).read_text().splitlines())


def test_each_is_done_once_by_as_many_as_there_shall_be(tmp_path: Path) -> None:
    tasks = ["both-1", "both-2", *(f"t{number}" for number in range(4))]
    assert sorted(did(tmp_path, tasks)) == [("done", task) for task in tasks]
    assert [times(tmp_path, task) for task in tasks] == [1] * 6
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 2


def test_each_of_several_knows_its_number_and_so_does_who_takes_its_place(tmp_path: Path) -> None:
    tasks = ["die-1", "both-1", "both-2"]
    told = work(functools.partial(begin, str(tmp_path)), tasks, 2)
    assert {one.what for one in told if isinstance(one.what, int)} == {0, 1}


def test_one_that_is_killed_is_begun_anew_and_the_others_go_on(tmp_path: Path) -> None:
    found = did(tmp_path, ["a", "die-1", "b", "c"])
    assert ("killed", "die-1") in found
    assert sorted(task for kind, task in found if kind == "done") == ["a", "b", "c", "die-1"]
    assert times(tmp_path, "die-1") == 2


def test_killed_twice_it_is_given_up_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(GalagoError, match="die-2: a process ended twice in it .by signal 9"):
        did(tmp_path, ["die-2"], 1)


def test_a_task_that_cant_be_read_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    told = list(work(functools.partial(begin, str(tmp_path)), ["unread", "a"], 1))
    assert [(one.kind, one.task, one.what) for one in told] == [
        ("said", "unread", ("unread", "1")),
        ("failed", "unread", "it can't be read"),
        ("said", "a", ("a", "1")),
        ("done", "a", None),
    ]


def test_a_full_disk_and_a_fault_are_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        did(tmp_path, ["full"])
    with pytest.raises(RuntimeError, match="an own fault"):
        did(tmp_path, ["fault"])


def test_what_loading_raises_ends_the_work() -> None:
    with pytest.raises(GalagoError, match="no such teacher"):
        list(work(begin_badly, ["a"], 1))
    with pytest.raises(GalagoError, match="ended while it began"):
        list(work(begin_dead, ["a"], 1))


def test_whoever_stops_listening_ends_the_processes(tmp_path: Path) -> None:
    told = work(functools.partial(begin, str(tmp_path)), ["a", "b", "c"], 1)
    next(told)
    told.close()
    (pid,) = map(int, Path(tmp_path, "a").read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_ended_between_two_tasks_is_begun_anew(tmp_path: Path) -> None:
    told = work(functools.partial(begin, str(tmp_path)), ["a", "b"], 1)
    found = []
    for one in told:
        found.append((one.kind, one.task))
        if found == [("said", "a"), ("done", "a")]:
            pid = int((tmp_path / "a").read_text())
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)  # its end of the pipe is closed; if not yet, all the same comes
    assert found[2:] == [("killed", "b"), ("said", "b"), ("done", "b")]


def test_what_tells_of_too_little_memory() -> None:
    for words in (
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
    ):
        assert lacks_memory(RuntimeError(words))
    assert lacks_memory(MemoryError())
    assert not lacks_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
