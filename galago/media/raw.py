"""Raw photos of cameras: the picture that the camera put inside for showing (the extra `raw`).

LibRaw finds it, by rawpy.  The sensor's own numbers are not developed: every program does that in
its own way, and the camera's picture is what its owner has seen.
"""

from __future__ import annotations

import io
import os
import struct
from importlib.util import find_spec
from typing import IO, Any

from PIL import Image, TiffImagePlugin

from galago.errors import ImageError
from galago.media.exif import taken
from galago.media.jpeg import decode_jpeg
from galago.media.limits import check_size

__all__ = ["RAW_SUFFIXES", "decode", "is_installed", "is_raw", "preview"]

RAW_SUFFIXES = frozenset(
    {".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"}
)
# Olympus' (three) and Panasonic's own versions of TIFF, and Fujifilm's files.
_BEGINNINGS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW")
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_PHOTOMETRIC, _SUB_IFDS, _DNG = 262, 330, 50706
_SENSOR = (32803, 34892)  # the numbers of a colour filter array, or what was made of them
_MOST_TAGS, _MOST_PARTS = 1000, 16
_TURNS = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}


def is_installed() -> bool:
    """Whether there is what reads raw photos."""
    return find_spec("rawpy") is not None


def is_raw(stream: IO[bytes], head: bytes) -> bool:
    """Whether a file holds a sensor's numbers; most such files are TIFFs, whose first picture is a
    stamp that Pillow would take for all there is."""
    if head.startswith(_BEGINNINGS) or head[4:12] == b"ftypcrx " or head[8:10] == b"CR":
        return True
    order = _TIFF.get(head[:4])
    if order is None:
        return False
    try:
        (place,) = struct.unpack(order + "I", head[4:8])
        found, parts = _look(stream, order, place)
        return found or any(_look(stream, order, part)[0] for part in parts)
    except (struct.error, ValueError, OverflowError):  # cut short
        return False


def decode(
    stream: IO[bytes], label: str, at_least: int | None
) -> tuple[Image.Image, tuple[int, int], str]:
    """The picture inside, its full size, and when it was taken.

    Reduced and raising as `galago.media.jpeg.decode_jpeg`, and ImportError without rawpy.
    """
    found = preview(stream, label)
    if isinstance(found, Image.Image):
        check_size(found.size, label)
        image, size = found, found.size
    else:
        image, size = decode_jpeg(found, label, at_least)
    return image, size, taken(image) or _date_of(stream)


def _date_of(stream: IO[bytes]) -> str:
    """The date in a file that is a TIFF, as most are: the picture inside often has none."""
    try:
        stream.seek(0)
        return taken(TiffImagePlugin.TiffImageFile(stream))
    except Exception:  # no TIFF, or one that Pillow doesn't know
        return ""


def preview(stream: IO[bytes], label: str) -> IO[bytes] | Image.Image:
    """The picture inside: a JPEG whose EXIF says how it is turned, or a picture that is upright.

    Raises ImportError without rawpy, ImageError for a file without such a picture.
    """
    import rawpy

    try:
        with rawpy.imread(_source(stream)) as raw:
            thumb, turned = raw.extract_thumb(), int(raw.sizes.flip)
            if thumb.format == rawpy.ThumbFormat.JPEG:
                return io.BytesIO(bytes(thumb.data))
            image = Image.fromarray(thumb.data)
            return image.transpose(_TURNS[turned]) if turned in _TURNS else image
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        raise ImageError(
            f"{label} is a raw photo without a picture inside that can be shown; save it as JPEG"
        ) from None
    except rawpy.LibRawError:
        raise ImageError(
            f"{label} is a raw photo that is damaged, cut short, or of a camera that LibRaw "
            f"{'.'.join(map(str, rawpy.libraw_version))} doesn't know; save it as JPEG"
        ) from None


def _source(stream: IO[bytes]) -> Any:
    """By its path LibRaw reads no more of a file than it needs."""
    name = getattr(stream, "name", None)
    if isinstance(name, str) and name.isprintable() and os.path.isfile(name):
        return name
    stream.seek(0)
    return stream


def _look(stream: IO[bytes], order: str, place: int) -> tuple[bool, tuple[int, ...]]:
    """Whether a TIFF's directory is one of a raw photo, and where those inside it are."""
    stream.seek(place)
    (count,) = struct.unpack(order + "H", stream.read(2))
    tags = stream.read(12 * min(count, _MOST_TAGS))
    parts: tuple[int, ...] = ()
    for at in range(0, len(tags) - 11, 12):
        tag, _, length = struct.unpack_from(order + "HHI", tags, at)
        value = tags[at + 8 : at + 12]
        if tag == _DNG or (
            tag == _PHOTOMETRIC and struct.unpack(order + "H", value[:2])[0] in _SENSOR
        ):
            return True, ()
        if tag == _SUB_IFDS:
            number = min(length, _MOST_PARTS)
            if length > 1:
                stream.seek(struct.unpack(order + "I", value)[0])
                value = stream.read(4 * number)
            parts = struct.unpack(f"{order}{number}I", value[: 4 * number])
    return False, parts
