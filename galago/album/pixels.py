"""A second look at two pictures: whether one is a copy of the other, by their pixels.

A model's vectors say what pictures show, and two pages of text show the same.  So both are made
grey and brought to one small size, and what is left of each when its blurred self is taken away,
along rows and along columns, is compared block by block.  A copy that was made smaller, brighter
or saved as a JPEG has the same small structures at the same places; another text, or the next shot
of a burst, has not.  Rows and columns are looked at apart, because lines of different text lie at
the same distances.

Measured with 170 photos (half of them 160 to 263 pixels a side, half thrice that) and rendered
pages, chats and dark screens: how many of the 256 blocks disagree, at most, in a copy saved as JPEG
of quality 50: 0, of quality 20: 1; made smaller by half 0, to 320 pixels 0, to 160 pixels 1; twice
as large 0; with 1.15 times the contrast, or grey: 0.  Made 1.1 times as bright, 98 % of them have
one at most; in the others white parts have lost what was in them.  In pages of different text at
least: 53 to 239 with 10 to 40 points, grey ones too; 6 in two chats whose last of twelve messages
differs by two words; 2 in white pages with three words each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.media import images
from galago.media.images import Source

__all__ = ["LoadGrey", "Look", "compared", "is_copy", "look"]

# (picture, side) -> grey, uint8 (side, side), and the size that it was made from
LoadGrey = Callable[[Source, int], tuple[NDArray[np.uint8], tuple[int, int]]]

_SIDE = 256
_LEAST = 64  # smaller pictures are compared at this side all the same
_BLOCKS = 16  # a side
_NEAR, _WIDE = 1, 5  # radii of the two blurs, in pixels of the small size
_PLAIN = 3.0  # grey levels: a block that differs less from its blurred self holds nothing
_AGREE = 0.5  # correlation of a block's structures
_FADED = 0.1  # share of the other's energy below which a block has lost what the other shows
_MOST = 1  # block of a copy that may disagree
_LEVEL = 8  # grey levels by which pictures without any structure may differ
_SHAPE = 0.03  # by which width / height may differ: small sizes are rounded


@dataclass(frozen=True)
class Look:
    """A picture as it is compared: grey, uint8 (256, 256), and the size that it was made from."""

    grey: NDArray[np.uint8]
    width: int
    height: int

    @cached_property
    def details(self) -> NDArray[np.int8]:
        """As _details at the full side: kept, as one picture is compared with many."""
        return _details(self.grey)


def look(source: Source, load_grey: LoadGrey = images.load_grey) -> Look:
    """A picture, opened by `load_grey`; raises as that does."""
    grey, (width, height) = load_grey(source, _SIDE)
    return Look(grey, width, height)


def is_copy(one: Look, other: Look) -> bool:
    """Whether the two show the same details at the same places; a copy may be smaller or paler."""
    if abs(one.width * other.height / (one.height * other.width) - 1) > _SHAPE:
        return False
    differing, seen = compared(one, other)
    return differing <= _MOST if seen else _levels_agree(one.grey, other.grey)


def compared(one: Look, other: Look) -> tuple[int, int]:
    """Blocks of 256 whose structures differ, and that have any, at the smaller picture's size."""
    smallest = min(one.width, one.height, other.width, other.height)
    pair = one.details, other.details
    if smallest < _SIDE:
        side = max(_LEAST, 1 << (smallest.bit_length() - 1))
        pair = _details(_reduced(one.grey, side)), _details(_reduced(other.grey, side))
    counts = [
        _differ(mine.astype(np.float32), theirs.astype(np.float32))
        for mine, theirs in zip(*pair, strict=True)
    ]
    return max(differing for differing, _ in counts), max(seen for _, seen in counts)


def _differ(a: Float, b: Float) -> tuple[int, int]:
    """As `compared`, of details (side, side) along one axis."""
    size = (a.shape[0] // _BLOCKS) ** 2
    mine, theirs, common = _sums(a, a) / size, _sums(b, b) / size, _sums(a, b) / size
    strong, weak = np.maximum(mine, theirs), np.minimum(mine, theirs)
    seen = strong > _PLAIN**2
    agree = (common >= _AGREE * np.sqrt(strong * weak)) & (weak >= _FADED * strong)
    return int(np.count_nonzero(seen & ~agree)), int(np.count_nonzero(seen))


def _levels_agree(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    apart = _reduced(a, _BLOCKS).astype(np.float32) - _reduced(b, _BLOCKS)
    return bool(np.abs(apart).max() <= _LEVEL)


def _sums(a: Float, b: Float) -> Float:
    """The products of two pictures, summed up in each block: (16, 16)."""
    part = a.shape[0] // _BLOCKS
    shape = (_BLOCKS, part, _BLOCKS, part)
    return np.asarray(np.einsum("ipjq,ipjq->ij", a.reshape(shape), b.reshape(shape)), np.float32)


def _reduced(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    part = grey.shape[0] // side
    small = grey.reshape(side, part, side, part).mean(axis=(1, 3))
    return np.asarray(np.rint(small), np.uint8)


def _details(grey: NDArray[np.uint8]) -> NDArray[np.int8]:
    """What a blur along columns, and one along rows, takes from a picture: int8 (2, side, side)."""
    near = _blurred(_blurred(grey.astype(np.float32), _NEAR, 0), _NEAR, 1)
    both = [near - _blurred(near, _WIDE, axis) for axis in (0, 1)]
    return np.asarray(np.clip(np.rint(np.stack(both)), -127, 127), np.int8)


def _blurred(grey: Float, radius: int, axis: int) -> Float:
    """The mean of `2 radius + 1` pixels along an axis."""
    pad: Any = [(0, 0), (0, 0)]
    pad[axis] = (radius + 1, radius)
    total = np.cumsum(np.pad(grey, pad, mode="edge"), axis=axis, dtype=np.float64)
    width = 2 * radius + 1
    ends = np.take(total, range(width, total.shape[axis]), axis=axis)
    starts = np.take(total, range(total.shape[axis] - width), axis=axis)
    return np.asarray((ends - starts) / width, np.float32)
