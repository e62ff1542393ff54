"""galago started often: a process loads what takes long once, and forks itself for every start.

    with Nursery(["torch", "peft"]) as nursery:
        started = nursery.start("finetune", …)     # a process of its own: .kill(number), .wait()

Torch and its kin take ten seconds to load on a busy machine: a test that kills twenty processes
would mostly kill them while they load, where nothing can go wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, NoReturn

from galago.cli.main import main

__all__ = ["Nursery", "Started"]


@dataclass
class Started:
    """A process of galago's."""

    pid: int
    _replies: IO[str]

    def kill(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, or the number of the signal that ended it, negative."""
        return int(self._replies.readline())


class Nursery:
    """Starts `galago …` with `modules` loaded, one at a time."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.nursery", *modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, *arguments: str) -> Started:
        """`galago` with arguments; the one before must have been waited for."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return Started(int(self._process.stdout.readline()), self._process.stdout)


def _main(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _be_galago(json.loads(line))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_galago(arguments: Sequence[str]) -> NoReturn:
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the nursery's own orders
        os.dup2(2, 1)  # ... and replies
        code = main(arguments)
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _main(sys.argv[1:])
