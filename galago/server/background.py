"""One long work at a time, in a thread of its own: it goes on when whoever began it has left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from galago.server.problems import Problem, problem_of

__all__ = ["Background", "Check", "Stopped"]

T = TypeVar("T")

Check = Callable[[], None]  # raises Stopped once the work is to end


class Stopped(BaseException):
    """What ends the work, as Ctrl-C would: no Exception, so that nothing takes it for a fault."""


class Background(Generic[T]):
    """`result` or `problem` is what the last work came to; neither where it was stopped.

    What it is called (`name`) stands in messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._closed = False
        self.result: T | None = None
        self.problem: str | None = None
        self.stopped = False
        self.running = False
        self.number = 0  # of the work, so that a new one is told from the last

    def begin(self, work: Callable[[Check], T]) -> None:
        """Start; Problem 409 while another is at work, 503 when the server is stopping."""
        with self._lock:
            if self._closed:
                raise Problem(503, "the server is stopping", retry_after=5)
            self.must_be_free()
            self.running, self.stopped, self.result, self.problem = True, False, None, None
            self.number += 1
            self._stop.clear()
            name = f"galago-{self._name}"
            self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            self._thread.start()

    def must_be_free(self) -> None:
        """Problem 409 while something is at work."""
        if self.running:
            raise Problem(409, f"{self._name} is under way already", code="under_way")

    def stop(self) -> None:
        """Ask it to end; what it has recorded stays."""
        self._stop.set()

    def close(self, seconds: float) -> None:
        """End it for good; so long its thread is waited for."""
        with self._lock:
            self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def check(self) -> None:
        """Raises Stopped where the work is to end."""
        if self._stop.is_set():
            raise Stopped

    def pause(self, seconds: float, until: Callable[[], bool]) -> None:
        """At most so long, until that is so; raises as `check`."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            if self._stop.wait(0.05):
                raise Stopped

    def _run(self, work: Callable[[Check], T]) -> None:
        try:
            self.result = work(self.check)
        except Stopped:
            self.stopped = True
        except BaseException as error:  # whoever looks must hear of it, whatever it is
            # A reader that was ended with it may be the first to fail.
            self.stopped = self._stop.is_set()
            self.problem = None if self.stopped else problem_of(error).message
        finally:
            self.running = False
