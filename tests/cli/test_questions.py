"""What is told about an answer."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


def test_an_answer_to_what_could_not_be_read_is_doubted(
    capsys: Capture, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded model is sure of what it answers to Chinese, and wrong."""
    short = ("--max-tokens", "2", "--json")
    asked = run(capsys, "describe", picture, "-p", "图片里有什么？", *short)
    assert "note: fastvlm-nano reads English only" in asked.err
    assert "reads English only" in json.loads(asked.out)["doubt"]
    plain = run(capsys, "describe", picture, "-p", "What is this?", *short)
    assert "reads English" not in plain.err + plain.out
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\nЧто это?\n"))
    talk = run(capsys, "chat", picture, "--max-tokens", "2")
    assert talk.err.count("reads English only") == 1 and "“Что это?”" in talk.err
