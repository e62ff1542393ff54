"""Running `galago` in tests: in this process, or in one of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.places import TOP

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
COMMAND = [sys.executable, "-m", "galago"]


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

    @property
    def told(self) -> list[str]:
        """The lines on stderr but those about cut answers: tests ask for short ones."""
        lines = self.err.splitlines()
        return [line for line in lines if not line.endswith("--max-tokens gives it more")]


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> Result:
    """One command in this process."""
    from galago.cli.main import main

    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galago.cli.app.app", _verbs())
        code = main([str(a) for a in args])
    captured = capsys.readouterr()
    return Result(code, captured.out, captured.err)


@cache
def _verbs() -> Callable[..., object]:
    """The verbs as Typer puts them together, once a process; it would do so for every command."""
    from typer.main import get_command

    from galago.cli.app import app

    return get_command(app)


def found(result: Result) -> list[str]:
    """The paths that a search shows."""
    return [line.split("  ")[1] for line in result.out.splitlines()]


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


def documented(heading: str) -> set[str]:
    """The fields in the first column of a section's table."""
    text = (TOP / "docs" / "cli.md").read_text("utf-8")
    section = re.split(r"\n##+ ", text.split("\n## --json\n")[1].split(f"### {heading}\n")[1])[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
