"""`make demo`: asks galago about the four pictures in examples/ and searches the album there, as a
person would type it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
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


SEARCHES = ("a red dress", "carrots", "a tiger")  # the last is not there


def main() -> int:
    said: set[str] = set()
    failed = 0
    for name, preset, what in QUESTIONS:
        failed |= run(what, ["describe", picture(name), "--preset", preset], said)
    with tempfile.TemporaryDirectory() as folder:  # no album of the user's is touched
        os.environ["GALAGO_ALBUMS"] = folder
        failed |= run("An album of photos", ["index", "examples/album"], said)
        for words in SEARCHES:
            failed |= run("Photos found by words", ["search", words, "-k", "3"], said)
    return failed


def run(what: str, command: list[str], said: set[str]) -> int:
    """Show a command and what it prints; its exit code. `said`: remarks, which are shown once."""
    galago = str(Path(sys.executable).with_name("galago"))
    print(f"\n{what}\n  $ galago {shlex.join(command)}", flush=True)
    done = subprocess.run([galago, *command], cwd=TOP, capture_output=True, text=True)
    print("\n".join(f"  {line}" for line in done.stdout.splitlines()), flush=True)
    for line in done.stderr.splitlines():
        if line not in said or done.returncode:
            print(line, file=sys.stderr)
        said.add(line)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
