"""A picture in strips of rows, so that what is made of it is never held twice."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

__all__ = ["strips"]

_PIXELS = 1 << 20


def strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) that cover it, each of about a million pixels."""
    rows = max(1, _PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)
