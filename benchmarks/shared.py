"""What the benchmarks have in common: the machine in a few words, a row in a process of its own."""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def machine(threads: int, packages: Sequence[str]) -> dict[str, Any]:
    """The processor, the threads used, and the versions of Python and of packages."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return {"cpu": model, "threads": threads, "python": platform.python_version()} | found


def measured(
    module: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The JSON line that `python -m module arguments` prints last.

    Raises subprocess.CalledProcessError when it fails; what it wrote to stderr has been seen.
    """
    command = [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def peak_memory() -> int:
    """The most bytes of memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss there also counts the process that started this one
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # On Linux ru_maxrss counts kilobytes, on macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
