"""One model, many requests: a bounded queue with fair turns, and a few threads that work.

Work is a synchronous iterator; what it yields arrives, in order, where the request is awaited.  A
request that is closed (the client has gone) ends its iterator before the next item, so at most one
token is computed for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from galago.server.problems import Problem

__all__ = ["Job", "Scheduler"]

T = TypeVar("T")

_SHARE = 0.75  # of the queue for one client


class _End:
    """After the last item."""


@dataclass(frozen=True)
class _Failure:
    error: BaseException


class Job(Generic[T]):
    """Work on its way, read by one task."""

    def __init__(
        self, scheduler: Scheduler, client: str, user: str, work: Callable[[], Iterator[T]]
    ) -> None:
        self.client, self.user = client, user
        self.work = work
        self.closed = threading.Event()
        self.begun: float | None = None
        self._scheduler = scheduler
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._deadline = time.monotonic() + scheduler.timeout

    async def items(self) -> AsyncIterator[T]:
        """What the work yields; raises what it raises, and Problem when it takes too long."""
        try:
            while True:
                left = self._deadline - time.monotonic()
                try:
                    item = await asyncio.wait_for(self._items.get(), max(left, 0))
                except (TimeoutError, asyncio.TimeoutError):
                    raise self._late() from None
                if isinstance(item, _End):
                    return
                if isinstance(item, _Failure):
                    raise item.error
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Nobody waits any more; on the loop."""
        self.closed.set()
        self._items.put_nowait(_End())
        self._scheduler.forget(self)

    def put(self, item: object) -> None:
        """From a working thread."""
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who waited
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    def fail(self, error: BaseException) -> None:
        self.put(_Failure(error))

    def _late(self) -> Problem:
        told = f"no answer within {self._scheduler.timeout:.0f} s"
        if self.begun is None:
            return self._scheduler.busy(f"{told}: others are being answered")
        return Problem(504, told, code="timeout")


class _Line:
    """What waits of one client, in turns among its users."""

    def __init__(self) -> None:
        self.size = 0
        self._users: OrderedDict[str, deque[Job[Any]]] = OrderedDict()

    def add(self, job: Job[Any]) -> None:
        self._users.setdefault(job.user, deque()).append(job)
        self.size += 1

    def next(self) -> Job[Any]:
        """The oldest of the user whose turn it is, taken out."""
        user, jobs = self._users.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._users[user] = jobs  # behind all others
        self.size -= 1
        return job

    def last(self) -> Job[Any]:
        """The youngest of the user who has most."""
        return max(reversed(self._users.values()), key=len)[-1]

    def remove(self, job: Job[Any]) -> bool:
        """Whether it was there."""
        jobs = self._users.get(job.user)
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        if not jobs:
            del self._users[job.user]
        self.size -= 1
        return True

    def jobs(self) -> Iterator[Job[Any]]:
        return itertools.chain.from_iterable(self._users.values())


class Scheduler:
    """`parallel` threads take turns among clients; at most `queue` requests wait.

    A client's users take turns within its own.  No client holds more than three quarters of the
    queue, and who has none waiting finds a place in a full one: the last of who has most goes.
    """

    def __init__(self, parallel: int, queue: int, timeout: float) -> None:
        self.parallel, self.queue, self.timeout = parallel, queue, timeout
        self._turns: OrderedDict[str, _Line] = OrderedDict()
        self._waiting = 0
        self._active: set[Job[Any]] = set()
        self._typical = 1.0  # seconds that a request takes, a moving average
        self._stopping = False
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._serve, name=f"galago-{at}", daemon=True)
            for at in range(parallel)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def active(self) -> int:
        return len(self._active)

    def submit(self, client: str, user: str, work: Callable[[], Iterator[T]]) -> Job[T]:
        """Take work into the queue; Problem 429 when it is full, 503 when stopping."""
        job = Job(self, client, user, work)
        with self._change:
            if self._stopping:
                raise Problem(503, "the server is stopping", retry_after=5)
            self._make_room(client)
            self._turns.setdefault(client, _Line()).add(job)
            self._waiting += 1
            self._change.notify()
        return job

    def _make_room(self, client: str) -> None:
        """Problem 429 where the queue has none for this client."""
        idle = max(self.parallel - len(self._active), 0)
        own = self._turns[client].size if client in self._turns else 0
        if own >= math.ceil(_SHARE * self.queue) + idle:
            raise self.busy(f"{own} requests of yours are waiting already")
        if self._waiting < self.queue + idle:
            return
        most = max(self._turns.values(), key=lambda line: line.size, default=None)
        full = f"{self._waiting} requests are waiting already"
        if own or most is None or most.size < 2:
            raise self.busy(full)
        last = most.last()
        self._remove(last)
        last.fail(self.busy(full))

    def busy(self, told: str) -> Problem:
        wait = self._typical * (self._waiting + 1) / self.parallel
        seconds = int(min(max(wait, 1), 60))
        return Problem(429, f"busy: {told}; try again", code="busy", retry_after=seconds)

    def forget(self, job: Job[Any]) -> None:
        """Take a request that nobody waits for out of the queue."""
        with self._change:
            self._remove(job)

    def _remove(self, job: Job[Any]) -> None:
        line = self._turns.get(job.client)
        if line is not None and line.remove(job):
            self._waiting -= 1
            if not line.size:
                del self._turns[job.client]

    def stop(self, seconds: float) -> None:
        """Refuse new work, end what runs before its next item, and wait for the threads."""
        with self._change:
            self._stopping = True
            left = [job for line in self._turns.values() for job in line.jobs()]
            self._turns.clear()
            self._waiting = 0
            for job in self._active:
                job.closed.set()
            self._change.notify_all()
        for job in left:
            job.fail(Problem(503, "the server is stopping", retry_after=5))
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            began = time.monotonic()
            try:
                self._work(job)
            finally:
                with self._change:
                    self._active.discard(job)
                self._typical += 0.1 * (time.monotonic() - began - self._typical)

    def _next(self) -> Job[Any] | None:
        """The next client's oldest request: who asks a lot waits behind those who ask little."""
        with self._change:
            while not self._turns:
                if self._stopping:
                    return None
                self._change.wait()
            client, line = self._turns.popitem(last=False)
            job = line.next()
            if line.size:
                self._turns[client] = line  # behind all others
            self._waiting -= 1
            self._active.add(job)
            job.begun = time.monotonic()
            return job

    def _work(self, job: Job[Any]) -> None:
        try:
            with contextlib.closing(job.work()) as items:  # type: ignore[type-var]
                if not job.closed.is_set():
                    for item in items:
                        job.put(item)
                        if job.closed.is_set():
                            break
            ended = job.closed.is_set() and self._stopping
            job.put(_Failure(Problem(503, "the server is stopping")) if ended else _End())
        except BaseException as error:  # whoever waits must hear of it, whatever it is
            job.fail(error)
