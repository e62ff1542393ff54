"""How much memory this process holds, the most that it has held, and how much there is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["available", "peak_memory", "private", "resident", "unshared"]

_STATUS, _MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")
_ROLLUP = Path("/proc/self/smaps_rollup")
_CGROUP = Path("/sys/fs/cgroup")


def peak_memory() -> int:
    """The most bytes of memory that this process has held; 0 where the system can't say."""
    # ru_maxrss on Linux also counts the process that started this one.
    return _field(_STATUS, "VmHWM:") or _used()


def resident() -> int:
    """Bytes of memory that this process holds now; elsewhere than on Linux, the most so far."""
    return _field(_STATUS, "VmRSS:") or _used()


def private() -> int:
    """Bytes that count towards the limit of this process's data (Linux); elsewhere 0."""
    return _field(_STATUS, "VmData:")


def unshared() -> int:
    """Bytes that another process of the same kind would take once more (Linux); elsewhere 0.

    What is mapped from files isn't in it: that is in memory once for all.
    """
    try:
        return _field(_ROLLUP, "Private_Dirty:")
    except OSError:  # not every kernel tells
        return 0


def available() -> int | None:
    """Bytes that programs may still take without swapping; None where the system can't say.

    In a container what its limit leaves, if that is less.
    """
    found = _field(_MEMINFO, "MemAvailable:") or _elsewhere()
    limit, used = (_number(_CGROUP / name) for name in ("memory.max", "memory.current"))
    if found is not None and limit is not None and used is not None:
        return max(0, min(found, limit - used))
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max": no limit
        return None


def _elsewhere() -> int | None:
    if sys.platform == "win32":
        return _windows()
    try:  # macOS gives unused memory back as it is asked for: count half of all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (OSError, ValueError):
        return None


def _windows() -> int | None:
    """ullAvailPhys of GlobalMemoryStatusEx (learn.microsoft.com, sysinfoapi.h)."""
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("dwLength", ctypes.c_uint32),
            ("dwMemoryLoad", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("ullTotalPhys", "ullAvailPhys")),
            *((f"rest{at}", ctypes.c_uint64) for at in range(5)),
        )

    status = Status(dwLength=ctypes.sizeof(Status))
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    return status.ullAvailPhys if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _field(path: Path, field: str) -> int:
    """Bytes that a line of such a file of Linux tells in kilobytes; 0 where there is none."""
    if path.exists():
        for line in path.read_text().splitlines():
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
