"""What people type for a time: a year, a month, a day, a minute, yesterday, 7d.

Each means a stretch of time, so that "since 2025-06" begins with June and "until 2025-06" ends with
it.  Times are those that a clock on the wall shows, as cameras write them: no zones.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

from galago.errors import OptionError
from galago.media.exif import EARLIEST

__all__ = ["EXAMPLES", "stretch"]

EXAMPLES = '2025, 2025-06, 2025-06-14, "2025-06-14 18:30", today, yesterday, 7d or 2w'

_DAY = timedelta(days=1)
_DATE = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?"
)
_AGO = re.compile(r"(\d{1,5}) ?([hdw])")
_WORDS = {"today": 0, "yesterday": 1, "今天": 0, "昨天": 1}  # days ago


def stretch(text: str, now: datetime | None = None) -> tuple[datetime, datetime]:
    """When what was typed begins, and when it is over (no part of it any more).

    "7d" is the day seven days ago, "2w" the one of two weeks ago; "3h" the second three hours ago.
    Raises OptionError for what is no time, or none of a photo's: before the first photograph.
    """
    now = (now or datetime.now()).replace(microsecond=0)
    typed = unicodedata.normalize("NFKC", text).strip().lower()
    try:
        if typed in _WORDS:
            return _day(now - _WORDS[typed] * _DAY)
        if ago := _AGO.fullmatch(typed):
            return _before(now, int(ago[1]), ago[2])
        if (date := _DATE.fullmatch(typed.upper())) and int(date[1]) >= EARLIEST:
            return _written(*(None if part is None else int(part) for part in _parts(date)))
    except (ValueError, OverflowError):  # a month 13, a 31st of June, days of ten thousand years
        pass
    raise OptionError(f"{text!r} is no date: give {EXAMPLES}")


def _parts(date: re.Match[str]) -> list[str | None]:
    return [date[group] for group in (1, 3, 4, 5, 6, 7)]


def _written(
    year: int | None,
    month: int | None,
    day: int | None,
    hour: int | None,
    minute: int | None,
    second: int | None,
) -> tuple[datetime, datetime]:
    assert year is not None
    begin = datetime(year, month or 1, day or 1, hour or 0, minute or 0, second or 0)
    if second is not None:
        return begin, begin + timedelta(seconds=1)
    if hour is not None:
        return begin, begin + timedelta(minutes=1)
    if day is not None:
        return _day(begin)
    if month is not None:
        return begin, (begin + 31 * _DAY).replace(day=1)
    return begin, begin.replace(year=begin.year + 1)


def _day(when: datetime) -> tuple[datetime, datetime]:
    begin = when.replace(hour=0, minute=0, second=0)
    return begin, begin + _DAY


def _before(now: datetime, count: int, unit: str) -> tuple[datetime, datetime]:
    if unit == "h":
        when = now - timedelta(hours=count)
        return when, when + timedelta(seconds=1)
    return _day(now - timedelta(days=count * (7 if unit == "w" else 1)))
