"""What a picture's header tells: how large it is, and when the camera's clock took it."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError

from galago.errors import GalagoError, ImageError
from galago.media.exif import taken
from galago.media.formats import identify, one_line
from galago.media.images import HUSH, Source
from galago.media.sources import stream_of

__all__ = ["About", "about"]

_TURNED = (5, 6, 7, 8)  # orientations whose width is the picture's height


@dataclass(frozen=True)
class About:
    """`size`: the upright picture's width and height in pixels.

    `taken`: what the camera's clock said (galago/media/exif.py).
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
            turned, date = _orientation(image) in _TURNED, taken(image)
            width, height = image.size
        except GalagoError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{label} is not a picture galago can read") from None
        except Exception as error:  # a damaged file can make a reader raise anything
            raise ImageError(f"{label} can't be read ({one_line(error)})") from error
    return About((height, width) if turned else (width, height), date)


def _orientation(image: Image.Image) -> object:
    """Which way round it lies; none of an EXIF that is broken."""
    try:
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation)  # a PNG's own decodes it
    except Exception:  # the pixels are still good
        return None
