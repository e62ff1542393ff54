"""`galago chat`: from a pipe and at a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from galago.vlm.speaker import Speaker
from tests.helpers.commandline import COMMAND, Result, run, spawn

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


def test_chat_answers_line_by_line(
    capsys: Capture, ready: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "What is it?\n\n/help\nAnd this?\n/new\nAgain?\n/open nowhere.jpg\n/quit\nNever.\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(asked))
    result = run(capsys, "chat", picture, "-m", ready, *SHORT)
    assert result.code == 0, result.err
    assert "/open PICTURE" in result.err and "nowhere.jpg" in result.err
    assert result.out.count("\n") >= 3 and "Traceback" not in result.err


@pytest.mark.parametrize("word", ["quit", "exit", "Quit", "/q", "/exit"])
def test_words_that_leave(
    capsys: Capture, ready: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{word}\nNever.\n"))
    assert run(capsys, "chat", picture, "-m", ready, *SHORT) == Result(0, "", "")


def test_the_oldest_questions_of_a_long_chat_are_forgotten(
    capsys: Capture, ready: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = "".join(f"What is it, for the {n}th time?\n" for n in range(9))
    asked = questions + "Why? " * 500 + "\nAnd now?\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(asked))
    made = Speaker.__init__

    def small(self: Speaker, *parts: Any) -> None:
        made(self, *parts)
        self.positions = 300

    monkeypatch.setattr(Speaker, "__init__", small)
    result = run(capsys, "chat", picture, "-m", ready, *SHORT)
    assert result.code == 0 and result.err.count("are forgotten)") >= 1
    assert "too long" in result.line and "300 positions" in result.line
    assert result.err.count("cut at 4 tokens") == 10, "each of the others is answered"


def test_chat_ends_with_its_input(ready: Path, picture: Path) -> None:
    result = spawn("chat", picture, "-m", ready, *SHORT, stdin="What is it?")
    assert result.code == 0 and result.out.endswith("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("key", "code"), [(b"\x04", 0), (b"\x03", 130)])
def test_chat_at_a_terminal(ready: Path, picture: Path, key: bytes, code: int) -> None:
    import pty

    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [*COMMAND, "chat", str(picture), "-m", str(ready), *SHORT])
    seen = b""
    while b"> " not in seen:
        seen += os.read(terminal, 4096)
    with contextlib.suppress(OSError):  # what Linux says when the other end is gone
        for _ in range(60):
            # A key that comes before readline has set up the terminal is lost: press it again.
            os.write(terminal, key)
            while select.select([terminal], [], [], 1)[0]:
                if not (piece := os.read(terminal, 4096)):
                    raise OSError("the other end is gone")
                seen += piece
        os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    assert b"/help lists commands" in seen and b"Traceback" not in seen


def test_chat_needs_a_picture(capsys: Capture, ready: Path) -> None:
    assert "no such picture" in run(capsys, "chat", "none.jpg", "-m", ready).line
    assert "stdin" in run(capsys, "chat", "-", "-m", ready).line
