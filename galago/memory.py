"""How much memory this process holds, and the most that it has held."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["peak_memory", "resident"]

_STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """The most bytes of memory that this process has held; 0 where the system can't say."""
    # ru_maxrss on Linux also counts the process that started this one.
    return _status("VmHWM:") or _used()


def resident() -> int:
    """Bytes of memory that this process holds now; elsewhere than on Linux, the most so far."""
    return _status("VmRSS:") or _used()


def _status(field: str) -> int:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0


def _used() -> int:
    if os.name == "nt":  # has no resource module, and the standard library no other way
        return 0
    import resource

    # On Linux ru_maxrss counts kilobytes, on macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
