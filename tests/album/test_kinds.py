"""Files that are no photos to galago, but to somebody."""

from __future__ import annotations

from galago.album.kinds import kinds_told, told


def test_kinds_are_told_together() -> None:
    counts = {".mp4": 3, ".nef": 1200, ".jxl": 4, ".cr2": 5, ".mov": 1}
    assert kinds_told(counts) == "1,205 raw photos (.cr2 .nef), 4 .jxl, 4 videos (.mov .mp4)"
    assert kinds_told({".dng": 1}) == "1 raw photo (.dng)" and kinds_told({}) == ""
    assert told(".cr3") and told(".psd") and not told(".txt") and not told("")
