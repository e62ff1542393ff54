"""Pictures: open anything people have, as an upright RGB picture or an ImageError."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any, Union

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from galago.errors import ImageError, MissingExtraError
from galago.media.preprocess import preprocess
from galago.specs import ImageSpec

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Choose",
    "Source",
    "load_pixels",
    "open_image",
    "open_near",
    "thumbnail",
]

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, IO[bytes], Image.Image,
               "NDArray[Any]"]  # fmt: skip

# (picture, its own size, spec) -> the spec it is prepared by.
Choose = Callable[[Image.Image, tuple[int, int], ImageSpec], ImageSpec]

MAX_PIXELS = 100_000_000  # larger is a mistake or an attack: 300 MB once decoded
PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe"}
    | {".jpeg", ".jpf", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif"}
    | {".tiff", ".webp"}
)
_DRAFT = 4  # at twice the side letters' edges move by five 8-bit steps, at four times by one

# What a HEIC file calls itself (ISO/IEC 23008-12); mif1 and msf1 may hold AVIF as well.
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

# What Pillow decodes by itself. It would hand an EPS to Ghostscript and a WMF to the system: a
# picture is data, and never starts a program.
_FORMATS = [
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "SPIDER", "SUN", "TGA", "TIFF", "WEBP", "XBM"),
]


@cache
def _formats() -> list[str]:
    """Those of them that this Pillow has: a distribution's may come without some."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


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


_HUSH = _Hush()


def open_image(source: Source, *, name: str | None = None) -> Image.Image:
    """An upright RGB picture from a path, bytes, file object, PIL image or uint8 array.

    Of an animation the first frame; transparency on white; 16-bit scaled to 8; turned as EXIF says.
    Arrays are (H, W, 3), (H, W, 4) or (H, W), uint8.  `name` is used in messages.

    Raises ImageError: missing, empty, not a picture, damaged, cut short, or over 100 megapixels.
    """
    return _open(source, name, None)[0]


def load_pixels(
    source: Source,
    spec: ImageSpec,
    *,
    name: str | None = None,
    draft: int = _DRAFT,
    choose: Choose | None = None,
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Pixel values, float32 (3, side, side), and the upright picture's own (width, height).

    As `preprocess(open_image(source), spec)`, but a large JPEG is decoded at a half, quarter or
    eighth of its size where both edges stay at least `draft` times the side: several times faster,
    and at four times within one 8-bit step for 99.99 % of the values, at most three (12 megapixels
    of text, photos and noise).  `choose` may look at the opened picture and its own size and take
    another spec.  Raises as `open_image` does.
    """
    image, size = _open(source, name, draft * spec.side)
    return preprocess(image, choose(image, size, spec) if choose else spec), size


def open_near(source: Source, side: int, *, name: str | None = None) -> Image.Image:
    """As `open_image`, but decoded at the reduced scale that `load_pixels` takes for this side.

    Raises as `open_image` does.
    """
    return _open(source, name, _DRAFT * side)[0]


def thumbnail(source: Source, side: int, *, name: str | None = None) -> bytes:
    """A JPEG of the upright picture, at most `side` pixels wide and high.  Raises as open_image."""
    image = _open(source, name, 2 * side)[0].copy()  # a PIL image may be the caller's own
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _open(
    source: Source, name: str | None, at_least: int | None
) -> tuple[Image.Image, tuple[int, int]]:
    with _HUSH:
        if isinstance(source, Image.Image):
            image = _normalise(source, name or "the picture")
            return image, image.size
        if isinstance(source, np.ndarray):
            image = _from_array(source, name or "the array")
            return image, image.size
        label, stream = _stream_of(source, name)
        with stream:  # never the caller's own: that one has been read into memory
            stored, size = _decode(stream, label, at_least)
        image = _normalise(stored, label)
        return image, size if image.size == stored.size else size[::-1]


def _stream_of(source: Any, name: str | None) -> tuple[str, IO[bytes]]:
    """A label for messages and a readable, seekable stream that isn't empty."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        label = name or str(path)
        return label, _open_file(path, label)
    label = name or "the picture"
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif hasattr(source, "read"):
        try:
            data = source.read()
        except OSError as error:
            raise ImageError(f"{label} can't be read: {error.strerror or error}") from error
        if not isinstance(data, bytes):
            raise ImageError(f"{label} was opened as text; open it in binary mode ('rb')")
    else:
        raise ImageError(
            f"a picture can't be made from {type(source).__name__}; "
            "give a path, bytes, a file object, a PIL image or a uint8 array"
        )
    if not data:
        raise ImageError(f"{label} is empty (0 bytes)")
    return label, io.BytesIO(data)


def _open_file(path: Path, label: str) -> IO[bytes]:
    try:
        if path.is_dir():
            raise ImageError(f"{label} is a folder, not a picture")
        stream = path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"no such picture: {label}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{label} can't be read: {reason}") from error
    if not stream.seekable():  # a pipe; picture decoders go back and forth
        with stream:
            return io.BytesIO(stream.read())
    if os.fstat(stream.fileno()).st_size == 0:
        stream.close()
        raise ImageError(f"{label} is empty (0 bytes)")
    return stream


def _decode(
    stream: IO[bytes], label: str, at_least: int | None
) -> tuple[Image.Image, tuple[int, int]]:
    """The decoded picture, and the size it has when decoded in full."""
    head = stream.read(16)
    stream.seek(0)
    try:
        image = _identify(stream, head, label)
        size = image.size
        _check_size(size, label)
        if at_least is not None and image.format == "JPEG":
            image.draft(None, (at_least, at_least))
        image.load()
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(_too_large(label)) from None
    except UnidentifiedImageError:
        raise ImageError(f"{label} {_what_it_is(head)}") from None
    except MemoryError:
        raise ImageError(f"{label} needs more memory than there is; make it smaller") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise ImageError(f"{label} is damaged or cut short ({_one_line(error)})") from error
    return image, size


class _PluginError(ImageError, MissingExtraError):
    """A picture of a kind that an extra reads."""


def _identify(stream: IO[bytes], head: bytes, label: str) -> Image.Image:
    """The picture, not decoded yet; the plug-in for HEIC is loaded when the first one is met."""
    try:
        return Image.open(stream, formats=_formats())
    except UnidentifiedImageError:
        if head[4:8] != b"ftyp" or head[8:12] not in _HEIC:
            raise
    try:
        import pi_heif
    except ImportError:
        raise _PluginError(
            f"{label} is a HEIC picture: pip install 'galago[heic]', or save it as JPEG"
        ) from None
    pi_heif.register_heif_opener()
    stream.seek(0)
    return Image.open(stream, formats=["HEIF"])


def _what_it_is(head: bytes) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return "is damaged or cut short (its header can't be read)"
    if head[:4] == b"RIFF" or head[:2] == b"\xff\xd8" or head[:4] == b"\x89PNG":
        return "is damaged or cut short (its header can't be read)"
    return "is not a picture galago can read (JPEG, PNG, WebP, GIF, AVIF, BMP, TIFF …)"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _too_large(label: str) -> str:
    limit = MAX_PIXELS // 1_000_000
    return f"{label} is larger than {limit} megapixels; make it smaller"


def _check_size(size: tuple[int, int], label: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{label} has no pixels ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(f"{label} ({width}x{height})"))


def _normalise(image: Image.Image, label: str) -> Image.Image:
    """Upright, RGB, opaque, 8 bits."""
    _check_size(image.size, label)
    try:
        return _to_rgb(_upright(image))
    except MemoryError:
        raise ImageError(f"{label} needs more memory than there is; make it smaller") from None
    except Exception as error:  # lazily decoded PIL images fail here, conversions too
        raise ImageError(f"{label} is damaged or cut short ({_one_line(error)})") from error


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image  # exif_transpose would copy
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF: the pixels are still good
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_to_8bit(image).convert("RGB")
    if image.mode in {"La", "RGBa"}:  # premultiplied
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _deep_to_8bit(image: Image.Image) -> Image.Image:
    """16-bit integers and floats to 8 bits: Pillow's own conversion clips at 255 instead."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0, neginf=0)
    top = 65535.0
    if image.mode == "F":  # floats carry no range: 0..1, 0..255 or 0..65535, whichever holds them
        peak = float(values.max())
        top = next(limit for limit in (1.0, 255.0, 65535.0, max(peak, 1.0)) if peak <= limit)
    scaled = np.clip(values * (255.0 / top), 0, 255)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _from_array(array: NDArray[Any], label: str) -> Image.Image:
    shapes = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not shapes:
        raise ImageError(
            f"{label} is {array.dtype} of shape {tuple(array.shape)}; "
            "give uint8 of shape (height, width, 3)"
        )
    _check_size((array.shape[1], array.shape[0]), label)
    return _normalise(Image.fromarray(np.ascontiguousarray(array)), label)
