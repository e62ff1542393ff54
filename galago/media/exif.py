"""When a picture was taken: what its EXIF says by the camera's own clock.

EXIF 3.0 (CIPA DC-008), 4.6.6: "YYYY:MM:DD HH:MM:SS", blank where it isn't known.  Programs write
other things there, too, and clocks are set wrong: what can't be a photo's date counts as none.
"""

from __future__ import annotations

import re
import struct
from datetime import datetime, timedelta
from typing import Any, Literal

from PIL import Image

__all__ = ["EARLIEST", "date_in", "taken"]

EARLIEST = 1826  # the year of the first photograph
_AHEAD = timedelta(days=2)  # clocks of the other side of the world, and a day besides
_UNSET = datetime(1970, 1, 1)  # what a program writes that counts seconds and has none
_OWN, _CHANGED = 0x8769, 0x0132  # the directory of EXIF's own fields; DateTime
_ORIGINAL, _DIGITIZED = _DATES = (0x9003, 0x9004)
_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
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
        block = image.info.get("exif")
        # Pillow reads all that there is to know, which takes a fiftieth of a small picture's time.
        values = _of_block(block) if isinstance(block, bytes) and block else _by_pillow(image)
    except Exception:  # broken EXIF makes Pillow raise anything
        return ""
    return next(filter(None, map(date_in, values)), "")


def _by_pillow(image: Image.Image) -> tuple[Any, ...]:
    """The dates of a TIFF, or of a PNG that has them as text."""
    exif = Image.Image.getexif(image)  # a PNG's own would decode it
    if not exif:
        return ()
    own = exif.get_ifd(_OWN)
    return own.get(_ORIGINAL), own.get(_DIGITIZED), exif.get(_CHANGED)


def _of_block(block: bytes) -> tuple[Any, ...]:
    """The dates in an EXIF block: a TIFF without a picture.  struct.error for what is none."""
    data = memoryview(block)[6 if block.startswith(b"Exif\0\0") else 0 :]
    order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
    (first,) = struct.unpack_from(order + "I", data, 4)
    main = _entries(data, order, first, (_OWN, _CHANGED))
    own = {}
    if _OWN in main:
        own = _entries(data, order, int.from_bytes(main[_OWN][:4], _ORDERS[order]), _DATES)
    return own.get(_ORIGINAL), own.get(_DIGITIZED), main.get(_CHANGED)


def _entries(data: memoryview, order: str, start: int, wanted: tuple[int, ...]) -> dict[int, bytes]:
    """What is wanted of a directory: the beginnings of the values, as their bytes."""
    found: dict[int, bytes] = {}
    (count,) = struct.unpack_from(order + "H", data, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, _, length = struct.unpack_from(order + "HHI", data, at)
        if tag not in wanted or tag in found:
            continue
        place = at + 8
        if tag != _OWN and length > 4:
            (place,) = struct.unpack_from(order + "I", data, at + 8)
        found[tag] = bytes(data[place : place + min(length if tag != _OWN else 4, _LENGTH)])
    return found


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
