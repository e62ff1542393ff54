"""Pictures made for tests, good and bad."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def photo(width: int = 120, height: int = 80, seed: int = 0) -> Image.Image:
    """Smooth colour with some edges: compresses like a photo, resizes with visible differences."""
    image = smooth(seed, (width, height), (9, 13))
    ImageDraw.Draw(image).line((0, 0, width, height), fill=RED, width=3)
    return image


def smooth(
    seed: int = 0, size: tuple[int, int] = (300, 200), grain: tuple[int, int] = (5, 7)
) -> Image.Image:
    """Smooth colour, unlike that of any other seed; `grain` is its rows and columns of colours."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (*grain, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A small PNG that claims to be so large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body
