"""Captions as they come out: records, cues, and a program that speaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from galago.cli import captions


def records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def cues(path: Path) -> list[tuple[str, str]]:
    """Times and text of each cue; the file must be WebVTT as the standard has it."""
    head, *blocks = path.read_text("utf-8").strip().split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        times, *lines = block.split("\n")
        begin, end = times.split(" --> ")
        assert len(begin) == len(end) == 12 and begin < end and lines
        found.append((begin, "\n".join(lines)))
    return found


class Speaker:
    """A program that writes down what it is given to say once it is let go."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spoken, self._go = folder / "spoken", folder / "go"
        code = (
            "import pathlib, sys, time; text = sys.stdin.read()\n"
            f"while not pathlib.Path({str(self._go)!r}).exists(): time.sleep(0.01)\n"
            f"open({str(self.spoken)!r}, 'a').write(text)"
        )
        monkeypatch.setattr(captions, "_OTHERS", ([sys.executable, "-S", "-c", code],))
        monkeypatch.setattr(captions, "_SPEAKERS", {})

    def let_go(self) -> None:
        self._go.touch()
