"""ICO and ICNS: folders of small pictures, which Pillow decodes before anybody can look at them."""

from __future__ import annotations

import struct
from typing import IO

from galago.errors import ImageError

__all__ = ["check_icon"]

_SIDE = 2048  # of the largest icon; the systems' have 1024
_PNG, _CODESTREAM = b"\x89PNG\r\n\x1a\n", b"\xff\x4f\xff\x51"
_ENTRIES = 256
# Lengths of a bitmap's header, by which Pillow knows it; OS/2's has its sides in 16 bits.
_OS2 = 12
_HEADERS = frozenset({_OS2, 40, 52, 56, 64, 108, 124})


def check_icon(stream: IO[bytes], head: bytes, label: str) -> None:
    """ImageError for an ICO or ICNS that holds a picture larger than any icon; others pass."""
    if head[:4] == b"\0\0\1\0":
        offsets, size_of = _entries_of_ico(stream), _size_in_ico
    elif head[:4] == b"icns":
        offsets, size_of = _entries_of_icns(stream), _size
        if len(offsets) > _ENTRIES:
            raise ImageError(f"{label} is an icon of more than {_ENTRIES} parts: no icon is that")
    else:
        return
    for offset in offsets:
        stream.seek(offset)
        size = size_of(stream.read(4096))
        if max(size) > _SIDE:
            raise ImageError(f"{label} is an icon of {size[0]}x{size[1]} pixels: no icon is that")
    stream.seek(0)


def _entries_of_ico(stream: IO[bytes]) -> list[int]:
    stream.seek(4)
    count = int.from_bytes(stream.read(2), "little")
    table = stream.read(16 * count)
    return [struct.unpack_from("<I", table, n + 12)[0] for n in range(0, len(table) - 15, 16)]


def _entries_of_icns(stream: IO[bytes]) -> list[int]:
    offsets: list[int] = []
    stream.seek(8)
    while len(offsets) <= _ENTRIES and len(head := stream.read(8)) == 8:
        offsets.append(stream.tell())
        stream.seek(max(0, int.from_bytes(head[4:], "big") - 8), 1)
    return offsets


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of an icon's PNG or JPEG 2000, from its first bytes."""
    if data[:8] == _PNG:
        return struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    if (place := data.find(_CODESTREAM)) >= 0:
        right, below, left, above = struct.unpack(">4I", data[place + 8 :][:16].ljust(16, b"\0"))
        return max(0, right - left), max(0, below - above)
    return 0, 0


def _size_in_ico(data: bytes) -> tuple[int, int]:
    """The same, or of a bitmap with its mask below it."""
    header = int.from_bytes(data[:4], "little")
    if header not in _HEADERS:
        return _size(data)
    kind, length = ("<HH", 4) if header == _OS2 else ("<ii", 8)
    width, height = struct.unpack(kind, data[4 : 4 + length].ljust(length, b"\0"))
    return abs(width), abs(height) // 2
