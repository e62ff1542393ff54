"""The command itself: help, mistakes of usage, faults, completion."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import ImageError
from galago.version import __version__
from galago.vlm.fastvlm import FastVLM
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
VERBS = (
    *("describe", "watch", "chat", "index", "search", "duplicates", "album", "classify"),
    *("serve", "mcp", "models", "pull", "bench"),
)


def test_version_and_help(capsys: Capture) -> None:
    assert run(capsys, "--version").out == f"galago {__version__}\n"
    assert "describe" in run(capsys, "--help").out
    for verb in VERBS:
        shown = run(capsys, verb, "--help")
        assert shown.code == 0 and "Examples:" in shown.out and f"galago {verb}" in shown.out


def test_usage_errors(capsys: Capture) -> None:
    assert run(capsys, "describe").code == 2
    assert run(capsys, "describe", "x.jpg", "--nonsense").code == 2
    assert run(capsys, "nonsense").code == 2


def test_debug_shows_the_traceback(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, ready: Path
) -> None:
    monkeypatch.setenv("GALAGO_DEBUG", "1")
    with pytest.raises(ImageError):
        run(capsys, "describe", "none.jpg", "-m", ready)


def test_a_fault_of_ours_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, ready: Path, picture: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(FastVLM, "stream", broken)
    result = run(capsys, "describe", picture, "-m", ready)
    assert result.code == 3 and "GALAGO_DEBUG=1" in result.line


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("galago de", "describe"),
        ("galago describe x.jpg -m fast", "fastvlm-nano"),
        ("galago describe x.jpg --preset re", "read"),
        ("galago describe x.jpg --precision int", "int8"),
    ],
)
def test_shell_completion(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: str, offered: str
) -> None:
    monkeypatch.setenv("_GALAGO_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert offered in run(capsys).out.split()
