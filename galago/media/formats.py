"""A stream -> a decoded picture and what its numbers mean: kinds, and what each may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import IO, Any

from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from galago.errors import GalagoError, ImageError, MissingExtraError
from galago.media import png, raw, tiff
from galago.media.depth import Meaning
from galago.media.exif import taken
from galago.media.icons import check_icon
from galago.media.jpeg import decode_jpeg, is_jpeg
from galago.media.limits import affordable, check_size, too_large
from galago.media.ppm import check_ppm

__all__ = ["Decoded", "PluginError", "date_taken", "decode", "identify", "one_line"]

# What a HEIC file calls itself (ISO/IEC 23008-12); mif1 and msf1 may hold AVIF as well.
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

# What Pillow decodes by itself. It would hand an EPS to Ghostscript and a WMF to the system: a
# picture is data, and never starts a program.
_FORMATS = [
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG2000"),
    *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
]
# Bytes a pixel that decoding takes besides the picture itself (docs/pictures.md has measurements).
_BESIDES = {"AVIF": 10, "HEIF": 10, "JPEG2000": 21, "WEBP": 12}
# What files of several pictures begin with: GIF, PNG, WebP and TIFF; AVIF and HEIC besides.
_SEVERAL = (b"GIF8", b"\x89PNG", b"RIFF", b"II", b"MM")
_SLOW = 2_000_000  # pixels that Pillow decodes in Python: one million takes seconds
_ANIMATED = frozenset({"AVIF", "GIF", "PNG", "WEBP"})
_BLANK_FRAMES, _BLANK_PIXELS = 20, 40_000_000  # that an animation may begin with


@dataclass
class Decoded:
    """A picture as it was stored, decoded; `size` is what it has in full.

    `page` counts from 1; of `pages`, where they were counted.
    """

    image: Image.Image
    size: tuple[int, int]
    meaning: Meaning = field(default_factory=Meaning)
    low: Image.Image | None = None  # the low bytes of 16-bit colours whose high ones say little
    page: int = 1
    pages: int = 1
    taken: str = ""  # galago/media/exif.py


@cache
def _formats() -> list[str]:
    """Those of them that this Pillow has: a distribution's may come without some."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def decode(
    stream: IO[bytes],
    label: str,
    at_least: int | None = None,
    page: int | None = None,
    counted: bool = False,
) -> Decoded:
    """The picture, decoded; a JPEG is reduced while its edges stay `at_least` so long.

    `page`: which one of several, from 1; without it the first, of an animation the first that
    isn't of one colour.  `counted`: how many there are, which goes through a whole animation.
    Raises ImageError.
    """
    stream.seek(0)
    head = stream.read(32)
    stream.seek(0)
    try:
        _check_file(stream, head, label)
        if is_jpeg(head):
            if page not in (None, 1):
                raise ImageError(f"{label} has no page {page}: it holds one picture")
            found = Decoded(*decode_jpeg(stream, label, at_least))
        elif raw.is_raw(stream, head):
            found = _of_raw(stream, label, at_least, page)
        else:
            stream.seek(0)
            found = _decode(stream, head, label, page, counted)
        found.taken = found.taken or taken(found.image)
        return found
    except GalagoError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(too_large(label)) from None
    except UnidentifiedImageError:
        raise ImageError(f"{label} {_what_it_is(stream, head)}") from None
    except MemoryError:
        raise ImageError(f"{label} needs more memory than there is; make it smaller") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise ImageError(f"{label} is damaged or cut short ({one_line(error)})") from error


def identify(stream: IO[bytes], label: str) -> Image.Image:
    """The picture as its header tells of it, nothing of it decoded.  Raises what Pillow does."""
    stream.seek(0)
    head = stream.read(32)
    stream.seek(0)
    _check_file(stream, head, label)
    _check_webp(head, label)
    if is_jpeg(head):
        return Image.open(stream, formats=["JPEG", "MPO"])
    check_icon(stream, head, label)
    return _identify(stream, head, label)


def date_taken(stream: IO[bytes], label: str) -> str:
    """When the picture was taken, without decoding it (galago/media/exif.py).  ImageError."""
    try:
        image = identify(stream, label)
        if image.format == "PNG" and (blob := png.exif_of(stream)):  # it may stand at the end
            image.info["exif"] = blob
        return taken(image)
    except GalagoError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{label} is not a picture galago can read") from None
    except Exception as error:
        raise ImageError(f"{label} is damaged or cut short ({one_line(error)})") from error


def _of_raw(stream: IO[bytes], label: str, at_least: int | None, page: int | None) -> Decoded:
    """The picture that the camera put into a raw photo."""
    try:
        image, size, date = raw.decode(stream, label, at_least)
    except ImportError:
        raise PluginError(f"{label} is a raw photo: save it as JPEG", "raw") from None
    if page not in (None, 1):
        raise ImageError(f"{label} has no page {page}: it holds one picture")
    return Decoded(image, size, taken=date)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _decode(stream: IO[bytes], head: bytes, label: str, page: int | None, counted: bool) -> Decoded:
    try:
        return _of_pillow(stream, head, label, page, counted)
    except GalagoError:
        raise
    except Exception:
        # Pillow gives a PNG up for a text that is too long, too.
        stripped = png.without_text(stream)
        if stripped is None:
            raise
    return _of_pillow(stripped, head, label, page, counted)


def _of_pillow(
    stream: IO[bytes], head: bytes, label: str, page: int | None, counted: bool
) -> Decoded:
    check_icon(stream, head, label)
    _check_webp(head, label)
    check_ppm(stream, head, label)
    image = _identify(stream, head, label)
    _check(image, label)
    pages = getattr(image, "n_frames", 1) if counted else 1
    if page is not None:
        _turn_to(image, page, label)
        _check(image, label)  # pages have sizes of their own
    found = Decoded(image, image.size, _meaning(image, stream, label))
    found.page, found.pages = image.tell() + 1, pages
    swapped = _swapped(image)
    _in_order(image)
    image.load()
    if page is None and image.format in _ANIMATED and getattr(image, "is_animated", False):
        found.page = _first_to_see(image)
    if swapped and max(high for _, high in _extrema(image)[:3]) < 64:  # at most 14 bits
        affordable(12.0 * image.width * image.height, label)
        found.low = _low_bytes(stream, image, page)
    return found


def _turn_to(image: Image.Image, page: int, label: str) -> None:
    pages = getattr(image, "n_frames", 1)
    if not 1 <= page <= pages:
        have = "it holds one picture" if pages == 1 else f"it has {pages}"
        raise ImageError(f"{label} has no page {page}: {have}")
    image.seek(page - 1)


def _first_to_see(image: Image.Image) -> int:
    """The first frame that isn't of one colour, if one comes soon; the image stands at it."""
    frames = min(_BLANK_FRAMES, max(1, _BLANK_PIXELS // (image.width * image.height)))
    for frame in range(frames):
        try:
            image.seek(frame)
            image.load()
        except MemoryError:
            raise
        except Exception:  # there are no more, or what follows is damaged: the first is there
            break
        seen = image.convert("RGBA") if image.mode in ("P", "PA") else image
        if any(low != high for low, high in _extrema(seen)):
            return frame + 1
    image.seek(0)
    image.load()
    return 1


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    found: Any = image.getextrema()
    return list(found) if isinstance(found[0], tuple) else [found]


# -- which kind ------------------------------------------------------------------------------------


class PluginError(ImageError, MissingExtraError):
    """A picture of a kind that an extra reads."""


def _identify(stream: IO[bytes], head: bytes, label: str) -> Image.Image:
    """The picture, not decoded yet; the plug-in for HEIC is loaded when the first one is met."""
    stream.seek(0)
    try:
        return Image.open(stream, formats=_formats())
    except UnidentifiedImageError:
        if head[4:8] != b"ftyp" or head[8:12] not in _HEIC:
            raise
    try:
        import pi_heif
    except ImportError:
        raise PluginError(f"{label} is a HEIC picture: save it as JPEG", "heic") from None
    pi_heif.register_heif_opener()
    stream.seek(0)
    return Image.open(stream, formats=["HEIF"])


def _what_it_is(stream: IO[bytes], head: bytes) -> str:
    known = head[:4] == b"RIFF" or head[:4] == b"\x89PNG"
    if known or (head[4:8] == b"ftyp" and head[8:12] in _HEIC):
        return "is damaged or cut short (its header can't be read)"
    if tiff.is_tiff(head) and (kind := tiff.named(stream)) is not None:
        return f"is {kind}, which galago can't read; save it with 8 or 16 bits, in RGB or grey"
    return "is not a picture galago can read (JPEG, PNG, WebP, GIF, AVIF, BMP, TIFF …)"


# -- what its numbers mean -------------------------------------------------------------------------


def _meaning(image: Image.Image, stream: IO[bytes], label: str) -> Meaning:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if tiff.misread(image.tag_v2):
            raise ImageError(
                f"{label} is {tiff.in_words(image.tag_v2)}, which galago can't read; "
                "save it with 8 or 16 bits, in RGB or grey"
            )
        return tiff.meaning_of(image.tag_v2)
    if image.format == "PNG" and _raw_mode(image).endswith(";16B"):
        place = stream.tell()
        bits = png.significant_bits(stream)
        stream.seek(place)
        clear = image.info.get("transparency")
        if isinstance(clear, tuple):  # in 16 bits, where Pillow compares 8
            image.info["transparency"] = tuple(value >> 8 for value in clear)
        return Meaning(top=(1 << bits) - 1 if bits is not None and 8 <= bits <= 16 else None)
    if image.format == "PPM" and image.mode == "I":  # stretched by Pillow to what it says
        return Meaning(top=65535)
    return Meaning()


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else ""
    mode = args[0] if isinstance(args, tuple) and args else args
    return mode if isinstance(mode, str) else ""


_OTHER_END = {"B": "L", "L": "B", "N": "B" if memoryview(b"\1\0").cast("H")[0] == 1 else "L"}


_NATIVE = {
    **dict.fromkeys(("F;32F", "F;32BF"), "F;32NF"),
    **dict.fromkeys(("I;32S", "I;32BS"), "I;32NS"),
    **dict.fromkeys(("I;16S", "I;16BS"), "I;16NS"),
}


def _swapped(image: Image.Image) -> str | None:
    """For 16-bit colours, of which Pillow keeps the high bytes: the raw mode of the low ones."""
    colours, _, end = _raw_mode(image).partition(";16")
    if colours == "LA" and end == "B":  # as if the four bytes were colours: grey, alpha
        return "RGBA"
    return f"{colours};16{_OTHER_END[end]}" if colours in ("RGB", "RGBA") and end else None


def _in_order(image: Image.Image) -> None:
    """Signed numbers and floats of a compressed TIFF in the machine's own order, as libtiff has it.

    Pillow sees to that for 16 bits without a sign alone.
    """
    mode = _NATIVE.get(_raw_mode(image))
    if mode is not None and image.tile[0][0] == "libtiff":  # type: ignore[attr-defined]
        _decode_as(image, mode)


def _decode_as(image: Image.Image, mode: str) -> None:
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [
        tile._replace(args=(mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode)
        for tile in image.tile
    ]


def _low_bytes(stream: IO[bytes], high: Image.Image, page: int | None) -> Image.Image:
    """The same picture decoded again, as if its bytes stood the other way round."""
    stream.seek(0)
    image = Image.open(stream, formats=[high.format or ""])
    if page is not None and page != 1:
        image.seek(page - 1)
    swapped = _swapped(image) or ""
    _decode_as(image, swapped)
    image.load()
    if ";" not in swapped:
        _, grey, _, alpha = image.split()
        return Image.merge("RGBA", (grey, grey, grey, alpha))
    return image


# -- what it costs ---------------------------------------------------------------------------------


def _check(image: Image.Image, label: str) -> None:
    """ImageError for a picture whose decoding would take too much memory or time."""
    pixels = image.width * image.height
    check_size(image.size, label)
    stored = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    besides = _BESIDES.get(image.format or "", 0)
    if image.format == "TIFF" and _raw_mode(image) and image.info.get("compression") != "raw":
        besides = 4  # a strip may be the whole picture
    # What is made of it: RGB, of animations and palettes RGBA before.
    made = 8 if image.mode in ("P", "PA") else 4
    affordable(pixels * (stored + max(besides, made)), label)
    codecs = {tile[0] for tile in getattr(image, "tile", ())}
    if pixels > _SLOW and codecs & Image.DECODERS.keys():
        most = _SLOW // 1_000_000
        raise ImageError(
            f"{label} is of a kind ({image.format}) that takes too long above {most} megapixels; "
            "save it as PNG or JPEG"
        )


def _check_file(stream: IO[bytes], head: bytes, label: str) -> None:
    """The same of a file as such: many kinds are read whole, or have parts of any length."""
    if not tiff.is_tiff(head):
        affordable(stream.seek(0, 2), label)
    stream.seek(0)


def _check_webp(head: bytes, label: str) -> None:
    """The same of a WebP, whose whole canvas Pillow makes when it is opened."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return
    kind, size = head[12:16], None
    if kind == b"VP8X":
        size = tuple(int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        size = tuple(int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    if size is not None and min(size) > 0:
        check_size((size[0], size[1]), label)
        affordable(size[0] * size[1] * (4 + _BESIDES["WEBP"]), label)
