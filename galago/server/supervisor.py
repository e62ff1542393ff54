"""Several processes behind one port: started, replaced when they die, and ended together.

The socket listens here and is handed to each; nobody binds the port twice, on any system.  What
holds a worker is a pipe to this process: when that ends, by a signal or by this process's own
death, each ends as a server does that is stopped.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import ModelError
from galago.server import handing
from galago.server.line import Head, Line

__all__ = ["Supervisor"]

_LATE = 4.0  # seconds beyond the grace: a worker ends by itself in that, whatever hangs
_PROVEN = 10.0  # seconds of answering after which a death says nothing about the next one
_PAUSE, _LONGEST = 1.0, 60.0  # seconds before another try, doubled each time
_LOOK = 1.0  # seconds of one wait


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]  # that, or what started it: who serves tells its own number
    line: Line
    given: Head
    ready_at: float | None = None


class Supervisor:
    """`count` workers of one command, which take up their place by `galago.server.worker`.

    `tell` shows a line to people.  `grace`: seconds that answers on their way have at the end.
    """

    def __init__(
        self,
        listening: socket.socket,
        count: int,
        command: Sequence[str],
        tell: Callable[[str], None],
        grace: float,
    ) -> None:
        self._listening, self._count, self._command = listening, count, list(command)
        self._tell, self._grace = tell, grace
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._workers: dict[int, _Worker] = {}
        self._asked: dict[tuple[int, int], int] = {}  # (who asks, its number): who is to answer
        self._due: dict[int, float] = {}  # when a worker that died is born again
        self._pause: dict[int, float] = {}
        self._stops = 0

    def run(self, given: Head, opened: Callable[[Head], Head]) -> int:
        """Until SIGINT or SIGTERM; the exit code: 0, or that of a first worker that can't begin.

        The first opens its models alone, with `given`; `opened` hears what it tells, and makes
        of it what the others are given.  Raises what `opened` raises, and ModelError where the
        first is killed before it answers.
        """
        with self._told_to_stop():
            try:
                self._start(1, given)
                first = self._workers[1]
                while first.ready_at is None:
                    what, about = self._next(None)
                    if what == "stop":
                        return 0
                    if what == "ended":
                        return _code(first)
                    if what == "ready":
                        first.ready_at = time.monotonic()
                        given = opened(about[1])
                for number in range(2, self._count + 1):
                    self._start(number, given)
                self._watch(given)
                return 0
            finally:
                self._end()

    def _watch(self, given: Head) -> None:
        """Until the end is wanted: note who is ready, replace who has died."""
        while not self._stops:
            what, about = self._next(min(self._due.values(), default=None))
            if what == "ready":
                about[0].ready_at = time.monotonic()
            elif what == "ended" and not self._stops:
                self._bury(about)
            elif what == "due":
                for number in [one for one, at in self._due.items() if at <= time.monotonic()]:
                    del self._due[number]
                    try:
                        self._start(number, given)
                    except OSError:  # no memory, or no process, just now
                        self._due[number] = time.monotonic() + _PAUSE

    def _next(self, due: float | None) -> tuple[str, Any]:
        """What happens, or "due" when it is so late."""
        while due is None or time.monotonic() < due:
            left = _LOOK if due is None else min(due - time.monotonic(), _LOOK)
            # Not without an end: on Windows a wait doesn't hear of Ctrl-C.
            with contextlib.suppress(queue.Empty):
                return self._events.get(timeout=max(left, 0))
        return "due", None

    def _bury(self, worker: _Worker) -> None:
        """Tell of a death, and when another one is born."""
        ready, number = worker.ready_at, worker.number
        proven = ready is not None and time.monotonic() - ready > _PROVEN
        pause = 0.0 if proven else self._pause.get(number, 0.0)
        self._pause[number] = min(max(2 * pause, _PAUSE), _LONGEST)
        self._due[number] = time.monotonic() + pause
        again = f"another one is started in {pause:.0f} s" if pause else "another one is started"
        with contextlib.suppress(OSError):  # nobody reads; the others answer all the same
            self._tell(f"worker {number} has ended ({_how(worker.process.wait())}): {again}")

    def _start(self, number: int, given: Head) -> None:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **handing.options(self._listening),
        )
        assert process.stdin is not None and process.stdout is not None
        worker = _Worker(number, process, Line(process.stdout, process.stdin), given)
        with self._lock:
            self._workers[number] = worker
        worker.line.begin(
            lambda head, body: self._heard(worker, head, body), lambda: self._gone(worker)
        )

    # -- messages, in the threads of the lines ------------------------------------------------

    def _heard(self, worker: _Worker, head: Head, body: bytes) -> None:
        if head["do"] == "here":
            self._place(worker, head["process"])
        elif head["do"] == "ready":
            self._events.put(("ready", (worker, head["told"])))
        elif head["do"] == "ask":
            self._pass_on(worker, head, body)
        elif head["do"] == "answer":
            with self._lock:
                asked = self._asked.pop((head["worker"], head["number"]), None)
                asker = self._workers.get(head["worker"])
            if asked == worker.number and asker is not None:
                asker.line.say(head, body)

    def _place(self, worker: _Worker, process: int) -> None:
        """Hand the socket to the process that is there, and say what it is to do."""
        try:
            copy = handing.give(self._listening, process)
        except OSError:  # that one has ended meanwhile, or the socket as all do
            worker.process.kill()
            return
        place = {"number": worker.number, "count": self._count, "given": worker.given}
        worker.line.say({"do": "place", **place}, copy)

    def _pass_on(self, worker: _Worker, head: Head, body: bytes) -> None:
        with self._lock:
            other = self._workers.get(head["worker"])
            there = other is not None and other.ready_at is not None
            if there:
                self._asked[worker.number, head["number"]] = head["worker"]
        if other is None or not there:
            worker.line.say(_nobody(head["number"]))
        else:
            other.line.say({**head, "worker": worker.number}, body)

    def _gone(self, worker: _Worker) -> None:
        """Nothing more comes of it: who waits for its answers is told, and it is ended for good."""
        with contextlib.suppress(OSError):
            worker.process.kill()
        worker.line.close()
        with self._lock:
            if self._workers.get(worker.number) is worker:
                del self._workers[worker.number]
            lost = [key for key, by in self._asked.items() if worker.number in (key[0], by)]
            for key in lost:
                del self._asked[key]
            left = [(self._workers.get(asker), number) for asker, number in lost]
        for asker, number in left:
            if asker is not None:
                asker.line.say(_nobody(number))
        self._events.put(("ended", worker))

    # -- the end -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _told_to_stop(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            self._stops += 1
            self._events.put(("stop", None))

        before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, was in before.items():
                signal.signal(one, was)

    def _end(self) -> None:
        """All within the grace and a little; at once when it is asked for a second time."""
        self._listening.close()
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:  # the line stays: who waits for another's answer still gets it
            worker.line.say({"do": "stop"})
        asked, until = self._stops, time.monotonic() + self._grace + _LATE
        while any(one.process.poll() is None for one in workers):
            if time.monotonic() > until or self._stops > max(asked, 1):
                break
            time.sleep(0.05)
        for worker in workers:
            worker.process.kill()
            worker.process.wait()


def _nobody(number: int) -> Head:
    return {"do": "answer", "number": number, "status": 0, "headers": []}


def _code(first: _Worker) -> int:
    """Of a first worker that ended before it answered; it has said why, unless it was killed."""
    code = first.process.wait()
    if code < 0:
        raise ModelError(
            f"the first worker was ended ({_how(code)}) before it answered: is there memory for it?"
        )
    return code or 3


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
