"""Pictures made to cost time or memory, each of some kilobytes; all are made here."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

__all__ = ["BOMBS", "bomb"]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def _scans(side: int, count: int) -> bytes:
    """A progressive JPEG of one grey, whose `count` scans are runs of nothing: each is a pass."""
    blocks = ((side + 7) // 8) ** 2
    bits = ""
    left = blocks
    while left >= 32767:  # the longest run of empty blocks, 15 bits
        bits, left = bits + "0" + "1" * 14, left - 32767
    bits += "10" * left if left < 16384 else "0" + format(left - 16384, "014b")
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    scan = _segment(0xDA, b"\1\1\0\1\x3f\0") + data.replace(b"\xff", b"\xff\0")
    tables = _segment(0xDB, b"\0" + bytes([1] * 64))
    frame = _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    codes = _segment(0xC4, b"\0\1" + bytes(15) + b"\0")
    codes += _segment(0xC4, b"\x10\1\1" + bytes(14) + b"\xe0\0")
    first = _segment(0xDA, b"\1\1\0\0\0\0") + bytes((blocks + 7) // 8)
    return b"\xff\xd8" + tables + frame + codes + first + scan * count + b"\xff\xd9"


def _png(width: int, height: int, kind: int, depth: int) -> bytes:
    """A PNG of zeros."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _webp(side: int) -> bytes:
    """A lossless WebP of one colour: its codes have no length, so no pixel takes a bit."""
    size = (side - 1) | (side - 1) << 14
    head = b"\x2f" + struct.pack("<I", size)
    body = head + bytes([0x88, 0x88, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00])
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


BOMBS: dict[str, Callable[[], bytes]] = {
    "3,000 scans": lambda: _scans(10_000, 3000),
    "90 scans": lambda: _scans(10_000, 90),
    "PNG RGBA": lambda: _png(9_990, 9_990, 6, 8),
    "PNG 16 bits": lambda: _png(9_990, 9_990, 2, 16),
    "PNG thin": lambda: _png(3, 30_000_000, 2, 8),
    "WebP": lambda: _webp(9_990),
    "PPM of comments": lambda: b"P6\n" + b"#" * 40 + b"\n#\n" * 700_000 + b"4 4\n255\n" + bytes(48),
    "PGM plain": lambda: b"P2\n3000 3000\n255\n" + b"0 " * 2_000_000,
    "QOI": lambda: b"qoif" + struct.pack(">IIBB", 9_990, 9_990, 4, 0) + b"\xfd" * 1_600_000,
    "DDS": lambda: (
        b"DDS "
        + struct.pack("<7I", 124, 0x1007, 9_988, 9_988, 0, 0, 0)
        + bytes(44)
        + struct.pack("<2I4s5I", 32, 4, b"DXT1", 0, 0, 0, 0, 0)
        + bytes(20 + 500_000)
    ),
}


@cache
def _url(name: str) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(BOMBS[name]()).decode()


def bomb(random_: random.Random) -> tuple[str, str]:
    """The name of one, and its data URL."""
    name = random_.choice(list(BOMBS))
    return name, _url(name)
