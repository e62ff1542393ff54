"""An end after SIGTERM that needs nothing of Python: native code may hold its lock for minutes.

The handlers of signals, and every thread, wait for that lock.  The C half of a handler doesn't: it
writes the signal's number to a pipe (signal.set_wakeup_fd), which a small process of its own reads.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["last_resort"]

_LATER = 2.0  # seconds after what Python does itself

_WATCH = """
import os, select, signal, sys
seconds, watched = float(sys.argv[1]), int(sys.argv[2])
stop = {signal.SIGINT, signal.SIGTERM}
while (told := os.read(0, 64)) and not stop.intersection(told):
    pass
import time
until = time.monotonic() + seconds
while told and select.select([0], [], [], max(until - time.monotonic(), 0))[0]:
    told = os.read(0, 64)  # nothing: it has ended
if told and os.getppid() == watched:
    os.kill(watched, signal.SIGKILL)
"""


@contextlib.contextmanager
def last_resort(grace: float) -> Iterator[None]:
    """Kills this process two seconds after `grace` from SIGINT or SIGTERM on, if it still is there.

    Of the main thread; nothing on Windows, whose signals are none.
    """
    if sys.platform == "win32":
        yield
        return
    with contextlib.ExitStack() as stack:
        reading, writing = os.pipe()
        try:
            os.set_blocking(writing, False)
            command = [sys.executable, "-I", "-S", "-c", _WATCH, str(grace + _LATER)]
            watcher = subprocess.Popen(
                [*command, str(os.getpid())],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C isn't for it
            )
            stack.callback(watcher.wait)
        except OSError:  # no more processes; what Python does itself remains
            os.close(writing)
            yield
            return
        finally:
            os.close(reading)
        stack.callback(os.close, writing)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        stack.callback(signal.set_wakeup_fd, before)
        yield
