"""Pictures made for tests, good and bad."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

from galago.media import images
from galago.media.images import Source

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


def png_of(values: np.ndarray, chunks: list[tuple[bytes, bytes]] | None = None) -> bytes:
    """A PNG of numbers (H, W) or (H, W, 2 to 4), 8 or 16 bits, and more chunks before them."""
    height, width = values.shape[:2]
    kind = {(): 0, (2,): 4, (3,): 2, (4,): 6}[values.shape[2:]]
    depth = values.itemsize * 8
    rows = values.astype(f">u{values.itemsize}").reshape(height, -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *(chunks or []), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def opened_near(source: Source, side: int) -> Image.Image:
    """The picture as it is decoded for this side of a square: reduced where that is possible."""
    return images._open(source, None, images.DRAFT * side, None)[0]
