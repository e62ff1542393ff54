"""A long picture, resized as if it stood on a square: Pillow's own arithmetic, sparsely.

Padded to a square, a picture of 3x20000 pixels has rows of 20000, of which 3 say something; Pillow
would go through all.  Here only the columns are computed that the picture reaches, to the same
bits: its weights are rounded to 22 bits and summed in whole numbers (Pillow, src/libImaging/
Resample.c), which is exact in float64 too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.media.strips import strips

__all__ = ["pad_long"]

_BITS = 22
_GROUP = 16  # columns of the result at a time: they reach about as many of the picture
_SUPPORT = {Image.Resampling.BICUBIC: 2.0, Image.Resampling.BILINEAR: 1.0}


def pad_long(
    image: Image.Image, side: int, resample: Image.Resampling, fill: tuple[int, int, int]
) -> Image.Image:
    """The RGB picture in the middle of a square, resized: (side, side), rows first."""
    width, height = image.size
    square = Image.new("RGB", (side, side), fill)
    if height > width:
        first, piece = _padded_rows(image, height, side, resample, fill)
        square.paste(piece.resize((piece.width, side), resample), (first, 0))
        return square
    turned = image.resize((side, height), resample).transpose(Image.Transpose.TRANSPOSE)
    first, piece = _padded_rows(turned, width, side, resample, fill)
    square.paste(piece.transpose(Image.Transpose.TRANSPOSE), (0, first))
    return square


def _padded_rows(
    image: Image.Image,
    length: int,
    side: int,
    resample: Image.Resampling,
    fill: tuple[int, int, int],
) -> tuple[int, Image.Image]:
    """What of rows padded to `length` and resized to `side` isn't padding, and where it begins."""
    left = (length - image.width) // 2
    columns = [(n, *_weights(n, length, side, resample)) for n in range(side)]
    columns = [c for c in columns if c[1] < left + image.width and c[1] + len(c[2]) > left]
    begin = columns[0][0]
    out = Image.new("RGB", (len(columns), image.height), fill)
    for box in strips(image):
        rows = np.asarray(image.crop(box))  # (rows, width, 3)
        for start in range(0, len(columns), _GROUP):
            group = columns[start : start + _GROUP]
            piece = _resized(rows, left, group, fill)
            out.paste(Image.fromarray(piece), (group[0][0] - begin, box[1]))
    return begin, out


def _resized(
    rows: NDArray[np.uint8],
    left: int,
    group: list[tuple[int, int, NDArray[np.int64]]],
    fill: tuple[int, int, int],
) -> NDArray[np.uint8]:
    """Columns of the result, (rows, len(group), 3)."""
    first = max(0, group[0][1] - left)
    last = min(rows.shape[1], group[-1][1] + len(group[-1][2]) - left)
    inside = np.zeros((last - first, len(group)))
    outside = np.zeros(len(group))  # what the padding weighs
    for n, (_, place, weights) in enumerate(group):
        begin = place - left - first
        taken = slice(max(0, -begin), max(0, min(len(weights), last - first - begin)))
        inside[begin + taken.start : begin + taken.stop, n] = weights[taken]
        outside[n] = weights.sum() - weights[taken].sum()
    pixels = rows[:, first:last].transpose(2, 0, 1).astype(np.float64)  # (3, rows, columns)
    sums = pixels @ inside
    sums += np.multiply.outer(np.asarray(fill, np.float64), outside)[:, None] + (1 << (_BITS - 1))
    whole = np.clip(sums.astype(np.int64) >> _BITS, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(whole.transpose(1, 2, 0))


def _weights(
    column: int, length: int, side: int, resample: Image.Resampling
) -> tuple[int, NDArray[np.int64]]:
    """Where the pixels that a column is made of begin, and their weights."""
    scale = length / side
    stretch = max(scale, 1.0)
    support = _SUPPORT[resample] * stretch
    centre = (column + 0.5) * scale
    begin = max(0, int(centre - support + 0.5))
    end = min(length, int(centre + support + 0.5))
    away = np.abs((np.arange(end - begin) + begin - centre + 0.5) * (1.0 / stretch))
    if resample == Image.Resampling.BICUBIC:
        near = ((-0.5 + 2.0) * away - (-0.5 + 3.0)) * away * away + 1
        far = (((away - 5) * away + 8) * away - 4) * -0.5
        values = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    else:
        values = np.where(away < 1, 1.0 - away, 0.0)
    total = float(np.cumsum(values)[-1])  # one after the other, as it does
    values = values / total if total else values
    return begin, np.trunc(values * (1 << _BITS) + np.where(values < 0, -0.5, 0.5)).astype(np.int64)
