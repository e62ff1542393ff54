"""One row in a process of its own: `python -m galago.bench.row JOB.json RESULT.json`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from galago.errors import GalagoError

__all__ = ["main"]


def main(given: Path, result: Path) -> None:
    """Do the job of one file and leave its result, or what went wrong in a line, in the other."""
    job = json.loads(given.read_text("utf-8"))
    module, _, name = job["kind"].rpartition(".")
    work = getattr(importlib.import_module(f"galago.bench.{module}"), name)
    try:
        found = work(job["options"])
    except (GalagoError, ImportError, OSError, RuntimeError, MemoryError) as error:
        found = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    result.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
