"""`make demo`: asks galago about the four pictures in examples/, as a person would type it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
QUESTIONS = (
    ("note", "read", "What is written on the note"),
    ("hand", "count", "How many fingers the hand holds up"),
    ("emoji", "brief", "What the emoji shows"),
    ("object", "brief", "What object the photo shows"),
)


def picture(name: str) -> str:
    """examples/NAME with whatever suffix it has, as a path to type."""
    for suffix in (".jpg", ".png", ".webp"):
        path = TOP / "examples" / (name + suffix)
        if path.exists():
            return str(path.relative_to(TOP))
    raise SystemExit(f"examples/{name}.* is missing")


def main() -> int:
    galago = str(Path(sys.executable).with_name("galago"))
    said: set[str] = set()
    failed = 0
    for name, preset, what in QUESTIONS:
        command = ["describe", picture(name), "--preset", preset]
        print(f"\n{what}\n  $ galago {' '.join(command)}", flush=True)
        done = subprocess.run([galago, *command], cwd=TOP, capture_output=True, text=True)
        print("\n".join(f"  {line}" for line in done.stdout.splitlines()), flush=True)
        for line in done.stderr.splitlines():  # the same remark of four processes, shown once
            if line not in said or done.returncode:
                print(line, file=sys.stderr)
            said.add(line)
        failed |= done.returncode
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
