"""What Pillow doesn't tell of a PNG, and the PNG without what it stumbles over."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from typing import IO

__all__ = ["exif_of", "significant_bits", "without_text"]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_ROTATION = b"Raw profile type exif\0"  # may say how it is turned
_UNPACKED = 1 << 20  # bytes that Pillow unpacks of a text or a profile


def significant_bits(stream: IO[bytes]) -> int | None:
    """How many bits of a sample mean something (sBIT), the most of its colours; not alpha's."""
    for name, offset, length in _chunks(stream):
        if name == b"sBIT" and 0 < length <= 4:
            stream.seek(offset)
            return max(stream.read(length)[: 3 if length >= 3 else 1])  # grey and alpha: 2
        if name == b"IDAT":
            break
    return None


def exif_of(stream: IO[bytes]) -> bytes:
    """The chunk eXIf, wherever it stands; empty where there is none, or a huge one."""
    for name, offset, length in _chunks(stream):
        if name == b"eXIf" and length <= _UNPACKED:
            stream.seek(offset)
            return stream.read(length)
    return b""


def without_text(stream: IO[bytes]) -> IO[bytes] | None:
    """The same PNG without its texts and without a profile too large; None if it has neither."""
    kept, dropped = [(0, len(_MAGIC))], False
    for name, offset, length in _chunks(stream):
        if name in _TEXT | {b"iCCP"} and not _modest(stream, name, offset, length):
            dropped = True
            continue
        kept.append((offset - 8, length + 12))
        if name == b"IEND":
            break
    if not dropped:
        return None
    out = io.BytesIO()
    for offset, length in kept:
        stream.seek(offset)
        out.write(stream.read(length))
    out.seek(0)
    return out


def _modest(stream: IO[bytes], name: bytes, offset: int, length: int) -> bool:
    """Whether a text or profile is needed, and small when it is unpacked."""
    if length > _UNPACKED or name == b"iTXt":
        return False
    stream.seek(offset)
    data = stream.read(length)
    if name in _TEXT and not data.startswith(_ROTATION):
        return False
    start = data.find(b"\0")
    packed = data[start + 2 :] if name in (b"iCCP", b"zTXt") else b""
    try:
        unpack = zlib.decompressobj()
        unpack.decompress(packed, _UNPACKED)
    except zlib.error:
        return False
    return not unpack.unconsumed_tail


def _chunks(stream: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of each chunk's data, as far as they can be followed."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if stream.read(8) != _MAGIC:
        return
    offset = 16
    while offset <= end:
        stream.seek(offset - 8)
        head = stream.read(8)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8 or length >= 1 << 31:
            return
        yield head[4:], offset, length
        offset += length + 12
