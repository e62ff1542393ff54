"""What a picture's header tells: how large it is, and when the camera's clock took it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError

from galago.errors import GalagoError, ImageError
from galago.media.formats import identify, one_line
from galago.media.images import HUSH, Source
from galago.media.sources import stream_of

__all__ = ["About", "about"]

_CLOCK = re.compile(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d:\d\d:\d\d)")  # EXIF 2.32, 4.6.5
_TURNED = (5, 6, 7, 8)  # orientations whose width is the picture's height


@dataclass(frozen=True)
class About:
    """`size`: the upright picture's width and height in pixels.

    `taken`: what the camera's clock said, "YYYY-MM-DD HH:MM:SS", which has no zone; "" where the
    file doesn't say.
    """

    size: tuple[int, int]
    taken: str = ""


def about(source: Source, *, name: str | None = None) -> About:
    """Read the header of a path, bytes or a file object; nothing is decoded.

    Raises ImageError for what is missing or is no picture.
    """
    label, stream = stream_of(source, name)
    with stream, HUSH:
        try:
            image = identify(stream, label)
            exif = _exif(image)
            width, height = image.size
        except GalagoError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{label} is not a picture galago can read") from None
        except Exception as error:  # a damaged file can make a reader raise anything
            raise ImageError(f"{label} can't be read ({one_line(error)})") from error
    if exif.get(ExifTags.Base.Orientation) in _TURNED:
        width, height = height, width
    return About((width, height), str(exif.get("taken", "")))


def _exif(image: Image.Image) -> dict[int | str, object]:
    """The orientation and the time; nothing of an EXIF that is broken."""
    try:
        found = Image.Image.getexif(image)  # a PNG's own would decode all of it
        inside = found.get_ifd(ExifTags.IFD.Exif)
        clock = inside.get(ExifTags.Base.DateTimeOriginal) or inside.get(
            ExifTags.Base.DateTimeDigitized
        )
        orientation = found.get(ExifTags.Base.Orientation)
    except Exception:  # the pixels are still good
        return {}
    told = _CLOCK.match(str(clock or ""))
    real = told is not None and told[1] != "0000"  # a camera whose clock was never set
    taken = f"{told[1]}-{told[2]}-{told[3]} {told[4]}" if told and real else ""
    return {ExifTags.Base.Orientation: orientation, "taken": taken}
