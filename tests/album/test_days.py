"""What people type for a time, and what it means."""

from __future__ import annotations

from datetime import datetime

import pytest

from galago.album.days import stretch
from galago.errors import OptionError

NOW = datetime(2026, 11, 30, 12, 0, 5, 99)


@pytest.mark.parametrize(
    ("typed", "begin", "end"),
    [
        ("2025", "2025-01-01", "2026-01-01"),
        ("2025-06", "2025-06-01", "2025-07-01"),
        ("2025-12", "2025-12-01", "2026-01-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        (" 2025-6-1 ", "2025-06-01", "2025-06-02"),
        ("2025/06/14", "2025-06-14", "2025-06-15"),
        ("2025-06-14 18:30", "2025-06-14 18:30:00", "2025-06-14 18:31:00"),
        ("2025-06-14T18:30:59", "2025-06-14 18:30:59", "2025-06-14 18:31:00"),
        ("２０２５-０６", "2025-06-01", "2025-07-01"),
        ("Yesterday", "2026-11-29", "2026-11-30"),
        ("today", "2026-11-30", "2026-12-01"),
        ("昨天", "2026-11-29", "2026-11-30"),
        ("7d", "2026-11-23", "2026-11-24"),
        ("2w", "2026-11-16", "2026-11-17"),
        ("3h", "2026-11-30 09:00:05", "2026-11-30 09:00:06"),
    ],
)
def test_a_time_is_a_stretch(typed: str, begin: str, end: str) -> None:
    assert stretch(typed, NOW) == (datetime.fromisoformat(begin), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    "typed",
    [
        *("", "June", "2025-13", "2025-02-30", "1404-03-24", "9999", "14.06.2025", "2025-06/14"),
        *("-7d", "3m", "7d ago", "2025-06-14 18", "2025-06-14 24:00", "99999w9", "\0", "1\n2025"),
    ],
)
def test_anything_else_is_told_in_one_line(typed: str) -> None:
    with pytest.raises(OptionError, match="is no date: give 2025, 2025-06, 2025-06-14"):
        stretch(typed, NOW)
