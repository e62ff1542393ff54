"""JPEGs: decoded at a reduced scale, bounded in scans, and whole without their last two bytes."""

from __future__ import annotations

import io
import os
import random
from itertools import chain
from typing import IO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from galago.errors import ImageError
from galago.media.limits import affordable, check_size, limit
from galago.media.strips import strips

__all__ = ["decode_jpeg", "is_jpeg"]

_SCALES = (8, 4, 2, 1)  # that libjpeg decodes at
_SCANS, _MOST_SCANS = 64, 2000  # pictures have up to 30; each costs time by the picture's pixels
_WORK = 2_000e6  # scans times pixels beyond _SCANS: about a second
_RESCUED = 256 << 20  # files without an end marker that are read again
_END = b"\xff\xd9"


def is_jpeg(head: bytes) -> bool:
    return head[:3] == b"\xff\xd8\xff"


def decode_jpeg(
    stream: IO[bytes], label: str, at_least: int | None
) -> tuple[Image.Image, tuple[int, int]]:
    """The picture, and the size that it has in full.

    Reduced by 2, 4 or 8 as long as both edges stay `at_least` so long, and until it is within the
    limit.  Further pictures in the file (MPF: previews, gain maps) are left alone.  Raises
    ImageError for what is too large, and what Pillow raises for what is damaged.
    """
    image = JpegImageFile(stream)  # and not Image.open, which looks at further pictures first
    size = image.size
    check_size(size, label, reducible=True)
    _check_work(image, stream, label)
    try:
        return _reduced(image, at_least, label), size
    except OSError:
        whole = _without_end(stream, at_least, label)
        if whole is None:
            raise
        return whole, size


def _reduced(image: JpegImageFile, at_least: int | None, label: str) -> Image.Image:
    width, height = image.size
    factor = 1 if at_least is None else max(1, min(width // at_least, height // at_least))
    scale = next(scale for scale in _SCALES if scale <= factor)
    while width * height > limit() * scale * scale and scale < _SCALES[0]:
        scale *= 2
    if scale > 1:
        image.draft(None, (max(1, width // scale), max(1, height // scale)))
    check_size(image.size, label)
    image.load()
    return image


def _check_work(image: JpegImageFile, stream: IO[bytes], label: str) -> None:
    """ImageError for more scans than a picture has, and for more memory than there should be."""
    pixels = image.width * image.height
    need = 8.0 * min(pixels, limit())  # decoded, and what is made of it
    if "progressive" in image.info or _components_in_scan(stream) < image.layers:
        # Coefficients of the whole picture are held until the last scan.
        most = max(v * h for _, v, h, _ in image.layer)
        need += 2.0 * pixels * sum(v * h for _, v, h, _ in image.layer) / max(1, most)
        scans = _count_scans(stream)
        if scans > _MOST_SCANS or (scans > _SCANS and scans * pixels > _WORK):
            raise ImageError(
                f"{label} is a JPEG of {scans} scans, which would take too long; save it again"
            )
    affordable(need, label)


def _components_in_scan(stream: IO[bytes]) -> int:
    """How many of the components the first scan holds; its header has just been read."""
    end = stream.tell()
    stream.seek(max(0, end - 16))
    head = stream.read(end - stream.tell())
    for count in (1, 2, 3, 4):
        length = 6 + 2 * count
        if head[-length - 2 :][:4] == b"\xff\xda\0" + bytes([length]):
            return count
    return 4


def _count_scans(stream: IO[bytes]) -> int:
    """Markers that begin a scan; one within a preview counts too."""
    stream.seek(0)
    count, last = 0, b""
    while block := stream.read(1 << 20):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:] if block[-1:] == b"\xff" else b""
    return count


def _without_end(stream: IO[bytes], at_least: int | None, label: str) -> Image.Image | None:
    """The picture of a file in which nothing but the end marker is missing, otherwise None.

    Where pixels are missing, libjpeg makes them up from whatever follows.  So noise, with every
    restart marker that may be awaited, is put behind the file: when it changes nothing, nothing
    was missing.
    """
    if stream.seek(0, os.SEEK_END) > _RESCUED:
        return None
    stream.seek(0)
    data = stream.read().rstrip(b"\xff")  # half a marker would make one of the first noise
    dice = random.Random(0)
    noise = [bytes(dice.choices(range(255), k=64)) + bytes([0xFF, 0xD0 + n]) for n in range(8)]
    tails = (_END, b"".join(chain(noise, noise)) + _END)
    first, second = (_reduced(JpegImageFile(io.BytesIO(data + t)), at_least, label) for t in tails)
    same = all(first.crop(box).tobytes() == second.crop(box).tobytes() for box in strips(first))
    return first if same else None
