"""Rows of training data in the terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from galago.cli.examples import example_record, show_examples, tell_faults, write_sheet
from galago.errors import StorageError
from galago.train.tune.check import FaultyDataError, Report
from galago.train.tune.dry_run import Shown, Span

SQUARE = np.zeros((32, 32, 3), np.uint8)
SPANS = (
    Span("<|im_start|>user\n"),
    Span("[picture 1: 16 tokens]", picture=True),
    Span("\nWhat [b]is[/b]\x1b[31m it?"),
    Span("A cat.", learnt=True),
    Span("<|im_end|>", learnt=True),
)
ONE = Shown("train.json:3\x1b[2J", (SQUARE,), SPANS, 30, 4, 2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_marks_say_what_is_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    show_examples([ONE])
    assert capsys.readouterr().out == (
        "-- 1: train.json:3\\x1b[2J, 1 picture of 32 px, 30 positions, 4 learnt\n"
        "-- its answer is cut: 2 tokens are left out\n"
        "<|im_start|>user\n[picture 1: 16 tokens]\nWhat [b]is[/b]\\x1b[31m it?"
        "{+A cat.<|im_end|>+}\n\n"
    )


def test_in_a_terminal_it_is_green_and_squares_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("GALAGO_PREVIEW", "kitty")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show_examples([ONE])
    said = terminal.getvalue()
    assert "\x1b[1;32mA cat.\x1b[0m" in said and "{+" not in said
    assert "\x1b_Ga=T" in said and "What [b]is[/b]\\x1b[31m it?" in said
    monkeypatch.setenv("NO_COLOR", "1")
    show_examples([ONE], preview=False)
    assert terminal.getvalue().endswith("{+A cat.<|im_end|>+}\n\n")


def test_a_record_for_programs() -> None:
    record = example_record(ONE)
    assert record["spans"][3] == {"text": "A cat.", "learnt": True, "picture": False}
    assert {name: record[name] for name in ("pictures", "positions", "learnt", "cut")} == {
        "pictures": 1, "positions": 30, "learnt": 4, "cut": 2
    }  # fmt: skip


def test_the_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sheet.png"
    assert write_sheet(path, [ONE]) and path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in capsys.readouterr().err
    assert not write_sheet(tmp_path / "none.png", [Shown("x", (), SPANS, 3, 1, 0)])
    assert not (tmp_path / "none.png").exists()
    with pytest.raises(StorageError, match="can't be written"):
        write_sheet(tmp_path / "no" / "sheet.png", [ONE])


def test_faults_are_told_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(5, problems=[("a.json:3", "no such picture: \x1b[2J.png")], faulty=2)
    tell_faults(FaultyDataError("2 of 5 rows are faulty: mend them", report))
    assert capsys.readouterr().err == ("a.json:3: no such picture: \\x1b[2J.png\n… and 1 more\n")
