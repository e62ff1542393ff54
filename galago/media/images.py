"""Pictures: open anything people have, as an upright RGB picture in sRGB or an ImageError."""

from __future__ import annotations

import io
import os
import threading
import warnings
from dataclasses import dataclass
from typing import IO, Any, Union

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from galago.errors import GalagoError, ImageError, OptionError
from galago.media import formats
from galago.media.alpha import opaque
from galago.media.colour import to_srgb
from galago.media.depth import to_8bit, widened
from galago.media.detail import smallest_side
from galago.media.exif import taken
from galago.media.formats import Decoded, decode, one_line
from galago.media.limits import MAX_PIXELS, check_size, icc_wanted
from galago.media.preprocess import fit_square, normalise
from galago.media.raw import RAW_SUFFIXES
from galago.media.sources import stream_of
from galago.specs import ImageSpec

__all__ = [
    "DRAFT",
    "HUSH",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Source",
    "Square",
    "date_taken",
    "load_grey",
    "load_pixels",
    "load_square",
    "open_image",
    "thumbnail",
]

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, IO[bytes], Image.Image,
               "NDArray[Any]"]  # fmt: skip

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe"}
    | {".jpeg", ".jpf", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif"}
    | {".tiff", ".webp"}
    | RAW_SUFFIXES
)
DRAFT = 4  # at twice the side letters' edges move by five 8-bit steps, at four times by one


class _Hush:
    """Silences Pillow's warnings while any thread opens a picture.

    A picture opens or it is an ImageError; hints would be a second, vaguer message.  The filters
    of `warnings` belong to the whole process, so the first thread in sets them and the last one out
    puts them back: each on its own, threads would restore what another had just set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._filters is not None:
                self._filters.__exit__(None, None, None)


HUSH = _Hush()


def open_image(
    source: Source, *, name: str | None = None, icc: bool | None = None, page: int | None = None
) -> Image.Image:
    """An upright RGB picture from a path, bytes, file object, PIL image or uint8 array.

    Turned as EXIF says; deep numbers scaled to 8 bits (galago/media/depth.py), colour profiles
    applied (colour.py), transparency put on white, or on black where that would hide it (alpha.py).
    Arrays are (H, W, 3), (H, W, 4) or (H, W), uint8.  `name` is used in messages; `icc=False`
    ignores profiles (as GALAGO_ICC=0 does); `page` counts from 1: without it the first, of an
    animation the first frame that isn't of one colour.

    A JPEG of more than 100 megapixels (GALAGO_MAX_MEGAPIXELS) is decoded reduced.  Raises
    ImageError: missing, empty, not a picture, damaged, cut short, or too large.
    """
    return _open(source, name, None, icc, page)[0]


@dataclass(frozen=True, eq=False)
class Square:
    """A picture on the model's square: uint8 (side, side, 3), and the upright picture's own size.

    `page` of `pages` was looked at, from 1.  `taken`: when, by the camera's clock, as
    "2025-06-14 18:30:05"; "" where it says nothing (galago/media/exif.py).
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    page: int = 1
    pages: int = 1
    taken: str = ""


def load_square(
    source: Source,
    spec: ImageSpec,
    *,
    name: str | None = None,
    draft: int = DRAFT,
    by_content: bool = False,
    icc: bool | None = None,
    page: int | None = None,
    count_pages: bool = False,
) -> Square:
    """The picture as `preprocess` puts it on the square of the spec, before values are scaled.

    As of `open_image(source)`, but a large JPEG is decoded at a half, quarter or eighth of its size
    where both edges stay at least `draft` times the side: several times faster, and at four times
    within one 8-bit step for 99.99 % of the values, at most three (12 megapixels of text, photos
    and noise).  `by_content` takes the smallest side that holds all the picture shows
    (galago/media/detail.py); `count_pages` counts those of the file, else it is said to have 1.
    Raises as `open_image` does.
    """
    _check_side(spec.side)
    image, found = _open(source, name, draft * spec.side, icc, page, count_pages)
    if by_content:
        spec = smallest_side(image, found.size, spec)
    pixels = np.asarray(fit_square(image, spec))
    return Square(pixels, found.size, found.page, found.pages, found.taken)


def load_pixels(
    source: Source, spec: ImageSpec, **options: Any
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Pixel values, float32 (3, side, side), and the picture's own (width, height).

    The options, and what is raised, are those of `load_square`.
    """
    square = load_square(source, spec, **options)
    return normalise(square.pixels, spec), square.size


def load_grey(
    source: Source, side: int, *, name: str | None = None
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The upright picture squeezed onto a square, grey, uint8 (side, side), and the size it had.

    That is of what was decoded: a large JPEG is reduced to twice the side.  Raises as open_image.
    """
    _check_side(side)
    image = _open(source, name, 2 * side, None)[0].convert("L")
    # In whole steps first: resize() alone would take a blur as wide as the shrinking.
    step = max(1, min(image.size) // (2 * side))
    small = image.reduce(step).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small, np.uint8), image.size


def thumbnail(
    source: Source, side: int, *, name: str | None = None, icc: bool | None = None
) -> bytes:
    """A JPEG of the upright picture in sRGB, at most `side` pixels wide and high.

    Raises as `open_image` does.
    """
    _check_side(side)
    image = _open(source, name, 2 * side, icc)[0]
    image = image.copy() if image is source else image
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, exif=b"", icc_profile=None)
    return out.getvalue()


def date_taken(source: Source, *, name: str | None = None) -> str:
    """When a picture was taken, as `Square.taken`, without decoding it.

    Raises ImageError for what can't be read or is no picture.
    """
    if isinstance(source, (Image.Image, np.ndarray)):
        return "" if isinstance(source, np.ndarray) else taken(source)
    label, stream = stream_of(source, name)
    with HUSH, stream:
        return formats.date_taken(stream, label)


class _SideError(ImageError, OptionError):
    """A square or a thumbnail without pixels."""


def _check_side(side: int) -> None:
    if side < 1:
        raise _SideError(f"a picture can't be made with side {side}: give 1 or more")


def _open(
    source: Source,
    name: str | None,
    at_least: int | None,
    icc: bool | None,
    page: int | None = None,
    counted: bool = False,
) -> tuple[Image.Image, Decoded]:
    """The picture, and what it was: its `size` is the upright picture's when decoded in full."""
    with HUSH:
        if isinstance(source, Image.Image):
            label = name or "the picture"
            found = Decoded(source, source.size)
        elif isinstance(source, np.ndarray):
            label = name or "the array"
            found = _from_array(source, label)
        else:
            label, stream = stream_of(source, name)
            with stream:  # never the caller's own: that one has been read into memory
                found = decode(stream, label, at_least, page, counted)
        before = found.image.size
        image = _normalise(found, label, icc_wanted(icc))
        if image.size != before:
            found.size = found.size[::-1]
        return image, found


def _normalise(found: Decoded, label: str, icc: bool) -> Image.Image:
    """Upright, 8 bits, sRGB, opaque: one step after the other, each letting go of the last."""
    check_size(found.image.size, label)
    kind = found.image.format
    try:
        found.image.load()
        if found.low is not None:
            found.image, found.low = widened(found.image, found.low, found.meaning), None
        found.image = _upright(found.image)
        found.image = to_8bit(found.image, found.meaning, label)
        found.image = to_srgb(found.image, icc)
        return opaque(found.image, kind) if found.image.mode == "RGBA" else found.image
    except GalagoError:
        raise
    except MemoryError:
        raise ImageError(f"{label} needs more memory than there is; make it smaller") from None
    except Exception as error:  # lazily decoded PIL images fail here, conversions too
        raise ImageError(f"{label} is damaged or cut short ({one_line(error)})") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image  # exif_transpose would copy
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF: the pixels are still good
        return image


def _from_array(array: NDArray[Any], label: str) -> Decoded:
    shapes = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not shapes:
        raise ImageError(
            f"{label} is {array.dtype} of shape {tuple(array.shape)}; "
            "give uint8 of shape (height, width, 3)"
        )
    size = (array.shape[1], array.shape[0])
    check_size(size, label)
    return Decoded(Image.fromarray(np.ascontiguousarray(array)), size)
