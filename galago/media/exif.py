"""When a picture was taken: what its EXIF says by the camera's own clock.

EXIF 3.0 (CIPA DC-008), 4.6.6: "YYYY:MM:DD HH:MM:SS", blank where it isn't known.  Programs write
other things there, too, and clocks are set wrong: what can't be a photo's date counts as none.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from PIL import ExifTags, Image

__all__ = ["EARLIEST", "date_in", "taken"]

EARLIEST = 1826  # the year of the first photograph
_AHEAD = timedelta(days=2)  # clocks of the other side of the world, and a day besides
_UNSET = datetime(1970, 1, 1)  # what a program writes that counts seconds and has none
_LARGEST = 1 << 18  # bytes of EXIF; a JPEG's has 64 kB at most, and larger ones take long to read
_DATE = re.compile(
    r"\s*(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?"
)
_LENGTH = 40  # letters of a date, with fractions of a second and a zone


def taken(image: Image.Image) -> str:
    """When it was taken, "2025-06-14 18:30:05" by the camera's clock; "" where it says nothing.

    The time at which it was taken, else digitised, else changed.  Of an opened picture that need
    not have been decoded.
    """
    try:
        if len(image.info.get("exif", b"")) > _LARGEST:
            return ""
        exif = Image.Image.getexif(image)  # a PNG's own would decode it
        if not exif:
            return ""
        own = exif.get_ifd(ExifTags.IFD.Exif)
        values = (
            own.get(ExifTags.Base.DateTimeOriginal),
            own.get(ExifTags.Base.DateTimeDigitized),
            exif.get(ExifTags.Base.DateTime),
        )
    except Exception:  # broken EXIF makes Pillow raise anything
        return ""
    return next(filter(None, map(date_in, values)), "")


def date_in(value: Any) -> str:
    """A date as EXIF has it, written "2025-06-14 18:30:05"; "" for what can't be a photo's."""
    if isinstance(value, bytes):
        value = value[: 2 * _LENGTH].decode("latin-1")
    if not isinstance(value, str):
        return ""
    found = _DATE.match(value[:_LENGTH])
    if found is None:
        return ""
    try:
        when = datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
    except ValueError:  # a month 0, a 31st of June
        return ""
    if when.year < EARLIEST or when == _UNSET or when > datetime.now() + _AHEAD:
        return ""
    return when.isoformat(" ")
