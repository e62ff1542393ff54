"""Tasks done by processes of this machine, each begun once; one that is killed is begun anew.

A task is given to one process at a time.  What a process tells comes back in order.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from galago.disk import refusal
from galago.errors import GalagoError, StorageError

__all__ = [
    "Begin",
    "DEATHS",
    "NUMBER",
    "THREADS",
    "Tell",
    "Told",
    "check",
    "lacks_memory",
    "last_words",
    "work",
]

Tell = Callable[[Any], None]
Begin = Callable[[Tell], Callable[[Any, Tell], None]]
"""Called once in each process; what it returns does a task, and tells what there is to tell."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
NUMBER = "GALAGO_PROCESS"  # which one this is, from 0: each of several takes a GPU of its own
DEATHS = 2  # of processes in one task, after which it is given up


@dataclass(frozen=True)
class Told:
    """kind: "said", "done", "failed" (the task can't be done, `what` is why in one line), "killed"
    (a process ended in the middle of it, and it begins again) or "waiting" (nobody has begun yet).
    task: None at first.
    """

    kind: str
    task: Any = None
    what: Any = None


def work(begin: Begin, tasks: Sequence[Any], processes: int) -> Iterator[Told]:
    """Do the tasks, in order as far as several processes can, and tell what comes.

    begin: picklable, as a function of a module is.  Raises GalagoError for what it raises, and for
    a task in which processes were killed twice.  Leaving the iterator ends all processes.
    """
    pending, deaths = deque(tasks), Counter[int]()
    held: list[_Process] = []
    try:
        held += [_Process(begin, number) for number in range(min(processes, len(tasks)))]
        while held:
            for one in _spoken(held):
                kind, what = one.hear()
                if kind == "ended":
                    _check_end(one, deaths)
                    pending.appendleft(one.task)
                    yield Told("killed", one.task)
                    held[held.index(one)] = _Process(begin, one.number)
                    continue
                check(kind, what)
                if kind in ("done", "failed", "said"):
                    yield Told(kind, one.task, what)
                if kind in ("begun", "done", "failed"):
                    if not pending:
                        one.close()
                        held.remove(one)
                    else:
                        one.give(pending.popleft())
    finally:
        for one in held:
            one.kill()


def check(kind: str, what: Any) -> None:
    """Raise here what ended the work there."""
    if kind == "broken":
        raise GalagoError(what)
    if kind == "refused":
        raise OSError(what, os.strerror(what))
    if kind == "fault":
        raise RuntimeError(what)


def _check_end(one: _Process, deaths: Counter[int]) -> None:
    """GalagoError for an end that isn't worth another try."""
    if one.task is None:
        raise GalagoError(f"a process ended while it began ({one.why()}): is there enough memory?")
    deaths[id(one.task)] += 1
    if deaths[id(one.task)] >= DEATHS:
        name = getattr(one.task, "name", one.task)
        raise GalagoError(
            f"{name}: a process ended twice in it ({one.why()}). What is done is kept; with fewer "
            "--processes or a smaller --batch each has more memory"
        )


def _spoken(held: Sequence[_Process]) -> list[_Process]:
    ready = wait([one.pipe for one in held])
    return [one for one in held if one.pipe in ready]


class _Process:
    """One process, and the task it has."""

    def __init__(self, begin: Begin, number: int) -> None:
        self.number = number
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.task: Any = None
        self._process: BaseProcess = context.Process(
            target=_serve, args=(other, begin, number), daemon=True
        )
        self._process.start()
        other.close()  # else the end of the process wouldn't be heard

    def hear(self) -> tuple[str, Any]:
        try:
            kind, what = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return "ended", None
        return kind, what

    def give(self, task: Any) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # it has ended: `hear` tells
            self.pipe.send(task)

    def why(self) -> str:
        code = self._process.exitcode or 0
        return f"by signal {-code}" if code < 0 else f"with code {code}"

    def close(self) -> None:
        self.pipe.close()  # it ends when it hears nothing more
        self._process.join(10)
        self.kill()

    def kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


def _serve(pipe: Connection, begin: Begin, number: int) -> None:
    """In the process: one thread, so that what comes out doesn't depend on how many there are."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends us
    os.environ |= dict.fromkeys(THREADS, "1") | {NUMBER: str(number)}

    def tell(what: Any) -> None:
        pipe.send(("said", what))

    try:
        do = begin(tell)
        pipe.send(("begun", None))
        while True:
            task = pipe.recv()
            try:
                do(task, tell)
                pipe.send(("done", None))
            except StorageError:  # it would be the next task's too
                raise
            except GalagoError as error:
                pipe.send(("failed", str(error)))
    except (EOFError, BrokenPipeError):  # the first process is gone
        return
    except Exception as error:
        pipe.send(last_words(error))


def lacks_memory(error: Exception) -> bool:
    """torch tells it in the words of a RuntimeError, of the CPU's and of CUDA's alike."""
    words = ("out of memory", "allocate", "DefaultCPUAllocator")
    told = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return told or isinstance(error, MemoryError)


def last_words(error: Exception) -> tuple[str, Any]:
    """What `check` raises of it elsewhere."""
    if isinstance(error, GalagoError):
        return "broken", str(error)
    if isinstance(error, OSError) and refusal(error):
        return "refused", error.errno
    if lacks_memory(error):
        return "broken", "not enough memory: lower --batch, or --processes"
    return "fault", " ".join("".join(traceback.format_exception(error)).split())[-300:]
