"""What is told about an answer."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from galago import catalog
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


def test_an_answer_to_what_could_not_be_read_is_doubted(
    capsys: Capture, picture: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demonstration model is sure of what it answers to Chinese, and wrong."""
    row = replace(catalog.lookup(catalog.DEFAULT), name="tiny", aliases=())
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, row))
    short = ("-m", ready, "--max-tokens", "2")
    asked = run(capsys, "describe", picture, "-p", "图片里有什么？", *short, "--json")
    assert "note: tiny reads English only" in asked.err
    assert "reads English only" in json.loads(asked.out)["doubt"]
    plain = run(capsys, "describe", picture, "-p", "What is this?", *short, "--json")
    assert not plain.err and json.loads(plain.out)["doubt"] is None
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\nЧто это?\n"))
    talk = run(capsys, "chat", picture, *short)
    assert talk.err.count("reads English only") == 1 and "“Что это?”" in talk.err
