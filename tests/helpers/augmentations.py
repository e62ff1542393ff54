"""Random resized crop and RandAugment once more, in plain numpy: what Pillow computes, number by
number, from its documented kernels and fixed points (libImaging's Resample, Geometry, Blend,
Filter).  Pictures are uint8 (H, W, 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["augmented"]

Picture = NDArray[np.uint8]
_BITS = 22  # of the fractions of a resampling


def augmented(picture: Picture, params: Sequence[object], side: int, *, tall: bool) -> Picture:
    """`params` as DataCompDR writes them; shifts are those of a 224 px square.

    tall: the picture is made as high as it will be before it is made as wide.  Pillow rounds in
    between, and begins with either (13.0: mostly with what is larger by a quarter, and high).
    """
    (top, left, height, width), ops = params  # type: ignore[misc]
    part = picture[top : top + height, left : left + width]
    part = part.transpose(1, 0, 2) if tall else part
    part = _resized(_resized(part, side).transpose(1, 0, 2), side)
    part = part if tall else part.transpose(1, 0, 2)
    for number, magnitude in ops:
        part = _operation(np.ascontiguousarray(part), number, magnitude, side)
    return part


def _cubic(x: float) -> float:
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def _resized(picture: Picture, size: int) -> Picture:
    """Along the second axis, by Keys' cubic, widened where it gets smaller."""
    scale = picture.shape[1] / size
    wide = max(scale, 1.0)
    out = np.zeros((picture.shape[0], size, 3), np.uint8)
    for x in range(size):
        centre = (x + 0.5) * scale
        first = max(0, int(centre - 2 * wide + 0.5))
        last = min(picture.shape[1], int(centre + 2 * wide + 0.5))
        weights = [_cubic((at - centre + 0.5) / wide) for at in range(first, last)]
        whole = sum(weights)
        fixed = [round_away(weight / whole * (1 << _BITS)) for weight in weights]
        total = np.full((picture.shape[0], 3), 1 << (_BITS - 1), np.int64)
        for at, weight in zip(range(first, last), fixed, strict=True):
            total += picture[:, at].astype(np.int64) * weight
        out[:, x] = np.clip(total >> _BITS, 0, 255)
    return out


def round_away(value: float) -> int:
    return int(value + (0.5 if value >= 0 else -0.5))


def _affine(picture: Picture, m: Sequence[float]) -> Picture:
    """Each place takes the pixel that it falls on, in 16 bits of fraction; black outside."""
    height, width = picture.shape[:2]
    fix = [math.floor(value * 65536 + 0.5) for value in m]
    x0 = math.floor((m[2] + 0.5 * m[0] + 0.5 * m[1]) * 65536 + 0.5)
    y0 = math.floor((m[5] + 0.5 * m[3] + 0.5 * m[4]) * 65536 + 0.5)
    out = np.zeros_like(picture)
    for y in range(height):
        for x in range(width):
            xin = (x0 + x * fix[0] + y * fix[1]) >> 16
            yin = (y0 + x * fix[3] + y * fix[4]) >> 16
            if 0 <= xin < width and 0 <= yin < height:
                out[y, x] = picture[yin, xin]
    return out


def _rotated(picture: Picture, degrees: float) -> Picture:
    height, width = picture.shape[:2]
    angle = -math.radians(degrees % 360)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    x, y = width / 2, height / 2
    return _affine(picture, (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y))


def _grey(picture: Picture) -> NDArray[np.int64]:
    red, green, blue = picture.astype(np.int64).transpose(2, 0, 1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _blended(dull: NDArray[np.generic], picture: Picture, factor: float) -> Picture:
    """From the dull picture towards this one, and beyond it."""
    dull = np.broadcast_to(dull, picture.shape).astype(np.float32)
    mixed = dull + np.float32(factor) * (picture.astype(np.float32) - dull)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _smooth(picture: Picture) -> Picture:
    out = picture.copy()
    wide = picture.astype(np.int64)
    height, width = picture.shape[:2]
    total = 4 * wide[1:-1, 1:-1]
    for dy in range(3):
        for dx in range(3):
            total = total + wide[dy : dy + height - 2, dx : dx + width - 2]
    out[1:-1, 1:-1] = np.floor(total / 13 + 0.5)
    return out


def _stretched(channel: Picture) -> Picture:
    low, high = int(channel.min()), int(channel.max())
    if high <= low:
        return channel
    scale = 255 / (high - low)
    table = [min(255, max(0, int(value * scale - low * scale))) for value in range(256)]
    return np.array(table, np.uint8)[channel]


def _equalised(channel: Picture) -> Picture:
    counts = np.bincount(channel.ravel(), minlength=256)
    filled = counts[counts > 0]
    step = int((filled.sum() - filled[-1]) // 255)
    if len(filled) < 2 or not step:
        return channel
    before = step // 2 + np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.minimum(before // step, 255).astype(np.uint8)[channel]


def _each(picture: Picture, change: object) -> Picture:
    return np.stack([change(picture[..., c]) for c in range(3)], axis=-1)  # type: ignore[operator]


def _operation(picture: Picture, number: int, magnitude: float, side: int) -> Picture:
    shift = int(magnitude * side / 224)
    if number in (1, 2):
        shear = (1, magnitude, 0, 0, 1, 0) if number == 1 else (1, 0, 0, magnitude, 1, 0)
        return _affine(picture, shear)
    if number in (3, 4):
        return _affine(picture, (1, 0, -shift, 0, 1, 0) if number == 3 else (1, 0, 0, 0, 1, -shift))
    if number == 5:
        return _rotated(picture, magnitude)
    if number == 6:
        return _blended(np.zeros(1), picture, 1 + magnitude)
    if number == 7:
        return _blended(_grey(picture)[..., None], picture, 1 + magnitude)
    if number == 8:
        return _blended(np.array([int(_grey(picture).mean() + 0.5)]), picture, 1 + magnitude)
    if number == 9:
        return _blended(_smooth(picture), picture, 1 + magnitude)
    if number == 10:
        return picture & np.uint8(256 - (1 << (8 - int(magnitude))))
    if number == 11:
        return np.where(picture < magnitude, picture, 255 - picture)
    if number in (12, 13):
        return _each(picture, _stretched if number == 12 else _equalised)
    return picture
