"""Lengths of time as people type them."""

from __future__ import annotations

import pytest

from galago.cli.durations import length_of, length_told
from galago.errors import OptionError


@pytest.mark.parametrize(
    ("text", "seconds", "told"),
    [
        ("90s", 90, "90s"),
        ("45m", 2700, "45m"),
        ("1h", 3600, "1h"),
        (" 1.5 H ", 5400, "90m"),
        ("7d", 604_800, "7d"),
        ("168h", 604_800, "7d"),
        ("61s", 61, "61s"),
    ],
)
def test_lengths(text: str, seconds: float, told: str) -> None:
    assert length_of("--last", text) == seconds
    assert length_told(seconds) == told


@pytest.mark.parametrize(
    "text", ["", "7", "1 week", "h", "-1h", "0s", "0.5s", "1h30m", "1e9d", "٣h", "101000d", "nan"]
)
def test_others_get_one_line(text: str) -> None:
    with pytest.raises(OptionError, match="90s, 45m, 1h or 7d"):
        length_of("--last", text)
