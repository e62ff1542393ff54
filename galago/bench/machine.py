"""The machine in a few words."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["busy_seconds", "machine", "versions"]


def machine(threads: int, packages: Sequence[str]) -> dict[str, Any]:
    """The processor, the threads used, and the versions of Python and of packages."""
    known = {"cpu": _processor(), "threads": threads, "python": platform.python_version()}
    return known | versions(packages)


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions by name; "absent" for what isn't there."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        if names:
            return names[0].split(":")[1].strip()
    return platform.processor() or platform.machine()


def busy_seconds() -> float | None:
    """Seconds that all cores together have worked since the start of the machine; Linux only."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _wait, *rest = stat.read_text().splitlines()[0].split()[1:9]
    return sum(map(int, (user, nice, system, *rest))) / os.sysconf("SC_CLK_TCK")
