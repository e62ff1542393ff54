"""Running `galago` in tests: in this process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
COMMAND = [sys.executable, "-m", "galago"]
TOP = Path(__file__).resolve().parent.parent


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of a failure; anything more, or a traceback, fails the test."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("galago: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("galago: ")


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> Result:
    """One command in this process."""
    from galago.cli.main import main

    capsys.readouterr()
    code = main([str(a) for a in args])
    captured = capsys.readouterr()
    return Result(code, captured.out, captured.err)


def start(*args: str | Path, **env: str) -> subprocess.Popen[str]:
    """One command in a process of its own, with pipes."""
    return subprocess.Popen(
        [*COMMAND, *(str(a) for a in args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOP), **env},
    )


def spawn(*args: str | Path, stdin: str = "", **env: str) -> Result:
    process = start(*args, **env)
    out, err = process.communicate(stdin, timeout=120)
    return Result(process.returncode, out, err)
