"""Files that are no photos to galago, but to somebody."""

from __future__ import annotations

import sys

import pytest

from galago.album.kinds import counted, kinds_told, remedy, told, wanted


def test_kinds_are_told_together() -> None:
    counts = {".mp4": 3, ".nef": 1200, ".jxl": 4, ".cr2": 5, ".mov": 1}
    assert kinds_told(counts) == "1,205 raw photos (.cr2 .nef), 4 .jxl, 4 videos (.mov .mp4)"
    assert kinds_told({".dng": 1}) == "1 raw photo (.dng)" and kinds_told({}) == ""
    assert told(".cr3") and told(".psd") and not told(".txt") and not told("")


def test_one_is_no_more_than_one() -> None:
    assert [counted(count, "photo") for count in (0, 1, 1200)] == [
        "0 photos",
        "1 photo",
        "1,200 photos",
    ]


def test_what_is_not_installed_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    assert ".jpg" in wanted() and ".nef" not in wanted()
    line = remedy([".nef", ".psd"])
    assert line is not None and line.startswith("to read them: ") and "rawpy" in line
    assert remedy([".psd", ".x3f"]) is None
