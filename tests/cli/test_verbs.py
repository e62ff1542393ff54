"""Verbs that aren't there: what was meant by them, in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from galago.cli import verbs
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("find", "galago search?"),
        ("update", "galago index (or galago pull MODEL)?"),
        ("caption", "galago describe?"),
        ("ocr", "galago describe PICTURE --preset read?"),
        ("read", "galago describe PICTURE --preset read?"),
        ("translate", "--preset translate --to LANGUAGE?"),
        ("dedupe", "galago duplicates?"),
        ("list", "galago models?"),
        ("download", "galago pull?"),
        ("web", "galago serve?"),
        ("tag", "galago classify?"),
        ("webcam", "galago watch?"),
        ("help", "galago --help?"),
        ("version", "galago --version?"),
        ("descirbe", "galago describe?"),
        ("serach", "galago search?"),
        ("SEARCH", "small letters: galago search"),
        ("xyzzy", "`galago --help` lists them"),
        ("holiday.jpg", "galago describe holiday.jpg?"),
        ("https://a.b/c", "galago describe https://a.b/c?"),
    ],
)
def test_what_was_meant(capsys: Capture, typed: str, meant: str) -> None:
    result = run(capsys, typed, "more")
    assert result.code == 2 and result.line.endswith(meant) and not result.out


def test_files_and_folders_in_a_verbs_place(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "cat").touch()
    assert f"galago describe {tmp_path / 'cat'}?" in run(capsys, tmp_path / "cat").line
    assert f"galago index {tmp_path}" in run(capsys, tmp_path).line


def test_meanings_are_of_verbs_that_are_there(capsys: Capture) -> None:
    there = set(re.findall(r"^  (\w[\w-]*)  ", run(capsys, "--help").out, re.MULTILINE))
    assert there == set(verbs.VERBS)
    for meant in verbs._MEANT:
        verb = meant.split()[0]
        assert verb in there or verb.startswith("--"), meant
    assert not there & set(verbs._BY_WORD)  # what is a verb is never corrected


def test_no_help_has_a_word_torn_at_its_hyphen(capsys: Capture) -> None:
    for verb in verbs.VERBS:
        text = " ".join(run(capsys, verb, "--help").out.split("Options:")[0].split())
        assert not re.search(r"\w- \w", text), verb
