"""What `make demo` shows can be pasted: it is what a shell ran, and galago knows every word."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from galago.cli.app import app
from tests.helpers.places import TOP
from tools import demo


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that are shown to be pasted; those that were run went to a shell as they stand."""
    ran: list[str] = []

    def shell(line: str, **how: object) -> subprocess.CompletedProcess[str]:
        assert how["shell"] is True and how["cwd"] == TOP
        ran.append(line)
        return subprocess.CompletedProcess(line, 0, "an answer\n", "")

    monkeypatch.setattr(subprocess, "run", shell)
    assert demo.main() == 0
    lines = capsys.readouterr().out.splitlines()
    found = [line.removeprefix("  $ ") for line in lines if line.startswith("  $ ")]
    assert found[: len(ran)] == ran and len(ran) == len(demo.STEPS)
    return found


def test_every_line_is_a_command_of_galago(shown: list[str]) -> None:
    verbs = get_command(app)
    pulled = 0
    for line in shown:
        words = shlex.split(line.removeprefix(demo.galago()))
        verb, *rest = words
        context = verbs.make_context("galago", [verb, *rest])
        command = verbs.get_command(context, verb)  # type: ignore[attr-defined]
        command.make_context(verb, rest)  # raises for what can't be parsed
        pulled += verb == "pull"
        for path in (word for word in rest if word.startswith("examples/")):
            assert (TOP / path).exists(), line
    assert pulled == 2, "what is fetched for real pictures is shown, and not run"


@pytest.mark.parametrize("folder", [".venv/bin", "my venv/bin", None])
def test_the_command_is_typed_as_it_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str | None
) -> None:
    monkeypatch.setattr(demo, "TOP", tmp_path)
    home = tmp_path / (folder or "bin")
    home.mkdir(parents=True)
    if folder:
        (home / "galago").touch()
    monkeypatch.setattr(sys, "executable", str(home / "python3"))
    told = shlex.split(demo.galago())
    assert told == ([f"{folder}/galago"] if folder else [str(home / "python3"), "-m", "galago"])
