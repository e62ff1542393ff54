"""`galago index --read` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from galago.vlm.fastvlm import FastVLM
from galago.vlm.reading import TextReader
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("models")


class _Model:
    name = "fastvlm-nano"
    spec = SimpleNamespace(image=SimpleNamespace(side=384))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which FastVLM was opened; its answers are made up."""
    names: list[str] = []

    def load(name: str, **_: object) -> _Model:
        names.append(name)
        return _Model()

    monkeypatch.setattr(FastVLM, "load", load)
    monkeypatch.setattr(TextReader, "prepare", lambda self, picture: str(picture))
    monkeypatch.setattr(TextReader, "read", lambda self, path: "exit" if "/red/" in path else "")
    return names


def test_reading_says_what_it_did(capsys: Capture, photos: Path, asked: list[str]) -> None:
    result = run(capsys, "index", photos, "--read")
    lines = result.out.splitlines()
    assert result.code == 0 and lines[0].startswith("album default: 45 photos")
    assert lines[1].startswith("read by fastvlm-nano: 45 photos, 15 of them show text (")
    assert "gets one letter in seven wrong" in result.err
    assert run(capsys, "index").err == "" and asked == ["fastvlm-nano"]
    assert "read     45 photos by fastvlm-nano; 15 show text" in run(capsys, "album").out
    record = json.loads(run(capsys, "album", "--json").out)
    assert (record["read"], record["with_text"], record["read_by"]) == (45, 15, ["fastvlm-nano"])


def test_stopping_says_what_was_read(
    capsys: Capture, photos: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(7))

    def read(self: TextReader, path: str) -> str:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(TextReader, "read", read)
    stopped = run(capsys, "index", photos, "--read")
    assert stopped.code == 130
    assert "7 of 45 photos are read and kept; the same command continues" in stopped.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--reader", "nosuch"), "no model is called 'nosuch'"),
        (("--reader", "MobileCLIP2-S0"), "answers no questions"),
        (("--reader", "nano", "--no-read"), "contradict each other"),
    ],
)
def test_a_reader_that_is_none_is_told_first(
    capsys: Capture, photos: Path, options: tuple[str, ...], words: str
) -> None:
    result = run(capsys, "index", photos, *options)
    assert result.code == 2 and words in result.line and result.out == ""
