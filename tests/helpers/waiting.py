"""Waiting for what happens elsewhere: until it holds, never for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether it holds before so many seconds are over; looks often at first, then less."""
    end, pause = time.monotonic() + seconds, 0.001
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return True
