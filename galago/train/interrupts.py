"""How trainings end when they are asked to: behind the next step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Ctrl-C and SIGTERM end the training behind the next step, with a checkpoint; a second one
    ends it at once.

    `met`: whether one came.
    """

    def __init__(self) -> None:
        self.met = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._meet)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _meet(self, *_: object) -> None:
        if self.met:
            raise KeyboardInterrupt
        self.met = True
