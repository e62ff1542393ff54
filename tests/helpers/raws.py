"""Raw photos as small as LibRaw takes them: a DNG with a preview inside, made by hand."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

__all__ = ["write_raw"]

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL = 1, 2, 3, 4, 10
_SIZES = {_BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8}
_CFA = (96, 64)  # of the sensor

Tag = tuple[int, int, bytes]


def write_raw(
    path: Path,
    preview: tuple[int, int] | None = (640, 480),
    orientation: int = 1,
    exif: int | None = None,
) -> Path:
    """A DNG whose preview is blue on the left, red on the right; without one for None.

    `orientation` stands in the DNG, `exif` in the preview's own EXIF.
    """
    colours = _short(33421, 2, 2), _tag(33422, _BYTE, b"\0\1\1\2"), _long(50717, 4095)
    sensor = bytes(2 * _CFA[0] * _CFA[1])
    raw = (*_image(_CFA, 32803, 16, 1, 1), *colours)
    camera = (
        _tag(271, _ASCII, b"Galago\0"),
        _tag(272, _ASCII, b"Test\0"),
        _short(274, orientation),
        _tag(50706, _BYTE, b"\1\4\0\0"),
        _tag(50708, _ASCII, b"Galago Test\0"),
        _tag(50721, _RATIONAL, struct.pack("<18i", *(1, 1, 0, 1, 0, 1) * 3)),
        _short(50778, 21),
    )
    if preview is None:
        path.write_bytes(_tiff([(0, [*raw, *camera], sensor)]))
        return path
    data = _jpeg(preview, exif)
    small = _image((160, 120), 2, 8, 3, 1)
    path.write_bytes(
        _tiff(
            [
                (1, [*small, *camera], bytes(160 * 120 * 3)),
                (0, list(raw), sensor),
                (1, list(_image(preview, 6, 8, 3, 7)), data),
            ]
        )
    )
    return path


def _jpeg(size: tuple[int, int], orientation: int | None) -> bytes:
    image = Image.new("RGB", size, (200, 30, 30))
    image.paste((20, 20, 220), (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    if orientation is not None:
        exif[274] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90, exif=exif.tobytes() if orientation else b"")
    return stream.getvalue()


def _image(
    size: tuple[int, int], photometric: int, bits: int, samples: int, compression: int
) -> tuple[Tag, ...]:
    return (
        _long(256, size[0]),
        _long(257, size[1]),
        _short(258, *[bits] * samples),
        _short(259, compression),
        _short(262, photometric),
        _short(277, samples),
        _long(278, size[1]),
    )


def _tiff(pages: Sequence[tuple[int, list[Tag], bytes]]) -> bytes:
    """The first page, the others in its SubIFDs; each is (subfile type, tags, data in a strip)."""
    out = bytearray(b"II*\0" + struct.pack("<I", 0))
    places = []
    for number, (kind, tags, data) in reversed(list(enumerate(pages))):
        at = len(out)
        out += data
        own = [*tags, _long(254, kind), _long(273, at), _long(279, len(data))]
        if number == 0 and len(pages) > 1:
            own.append(_long(330, *places))
        places.insert(0, _directory(out, own))
    out[4:8] = struct.pack("<I", places[0])
    return bytes(out)


def _directory(out: bytearray, tags: Sequence[Tag]) -> int:
    entries = []
    for tag, kind, value in sorted(tags):
        count = len(value) // _SIZES[kind]
        if len(value) > 4:
            out += b"\0" * (len(out) % 2)
            value, at = struct.pack("<I", len(out)), value
            out += at
        entries.append(struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0"))
    out += b"\0" * (len(out) % 2)
    place = len(out)
    out += struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    return place


def _tag(tag: int, kind: int, value: bytes) -> Tag:
    return tag, kind, value


def _short(tag: int, *values: int) -> Tag:
    return tag, _SHORT, struct.pack(f"<{len(values)}H", *values)


def _long(tag: int, *values: int) -> Tag:
    return tag, _LONG, struct.pack(f"<{len(values)}I", *values)
