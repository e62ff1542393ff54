"""Which vectors of an album lie near each other: all are compared with all, exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.album.vectors import Block

__all__ = ["LOST", "near_groups", "unit"]

_BLOCK = 4096  # rows compared with as many others at a time: 64 MB of products
_SAMPLE = 1024  # rows that show in which directions the rows of an album differ
_MANY = 0.01  # share of the pairs from which on all are multiplied together
_SLACK = np.float32(1e-4)  # more than float32 loses of a bound
_NOTHING = 1e-6  # of the length of a row, which is 1
LOST = 1e-5  # more than float32 loses of a cosine, so that a threshold of 1 finds what is equal


def near_groups(
    rows: Block,
    threshold: float,
    unused: Sequence[int] = (),
    report: Callable[[float], None] = lambda share: None,
) -> list[list[int]]:
    """Rows joined by a cosine of at least `threshold`, in groups of two or more, each sorted.

    Every row is compared with every other, in blocks, so memory does not grow with their number.
    First in a quarter of the directions, those that tell most: what the others can add is at most
    the product of what is left of the two lengths (Cauchy and Schwarz), so one narrow product gives
    a bound, and only pairs that it lets through are multiplied in full.
    """
    threshold -= LOST
    label = np.arange(len(rows))
    groups: dict[int, list[int]] = {}
    left_out = np.zeros(len(rows), bool)
    left_out[list(unused)] = True
    basis = _directions(rows)
    blocks = -(-len(rows) // _BLOCK)
    done = 0
    for above, stored in rows.blocks(_BLOCK):
        left = unit(stored)
        narrow = _narrow(left, basis, left_out[above : above + _BLOCK])
        for beside in range(above, len(rows), _BLOCK):
            part = slice(beside, beside + _BLOCK)
            right = left if beside == above else unit(rows.take(part))
            bound = narrow @ _narrow(right, basis, left_out[part]).T
            near = bound >= threshold - _SLACK
            if beside == above:
                near = np.triu(near, 1)
            many = np.count_nonzero(near) > _MANY * near.size
            if many:
                near &= left @ right.T >= threshold
            for row in np.flatnonzero(near.any(axis=1)):
                others = np.flatnonzero(near[row])
                if not many:
                    others = others[right[others] @ left[row] >= threshold]
                if len(others):
                    _join(int(above + row), beside + others, label, groups)
            done += 1
            report(done / (blocks * (blocks + 1) / 2))
    return [sorted(group) for group in groups.values()]


def unit(stored: Float) -> Float:
    """Rows (n, dim) as long as they were before float16 took a little of their length.

    One without length, of a damaged file, stays so.
    """
    lengths = np.linalg.norm(stored, axis=1, keepdims=True)
    return np.asarray(stored / np.maximum(lengths, _NOTHING), np.float32)


def _directions(rows: Block) -> Float:
    """Orthogonal directions that hold most of the rows' lengths, (dim, dim // 4)."""
    sample = rows.take(np.arange(0, len(rows), max(1, len(rows) // _SAMPLE)))
    _, turned = np.linalg.eigh(sample.T.astype(np.float64) @ sample)
    return np.asarray(turned[:, -max(1, rows.dim // 4) :], np.float32)


def _narrow(found: Float, basis: Float, left_out: NDArray[np.bool_]) -> Float:
    """Rows (n, dim) in these directions and, last, the length that lies in no one of them.

    Rows that are left out are like nothing.
    """
    seen = found @ basis
    rest = np.square(found).sum(axis=1) - np.square(seen).sum(axis=1)
    narrow = np.column_stack([seen, np.sqrt(np.maximum(rest, 0))])
    narrow[left_out] = 0
    return np.asarray(narrow, np.float32)


def _join(
    row: int, others: NDArray[np.intp], label: NDArray[np.intp], groups: dict[int, list[int]]
) -> None:
    """Put a row and others into one group; the smaller group takes the larger one's label."""
    for found in np.unique(label[others]):
        one, other = int(label[row]), int(found)
        if one == other:
            continue
        if len(groups.get(one, ())) < len(groups.get(other, ())):
            one, other = other, one
        moving = groups.pop(other, [other])
        groups.setdefault(one, [one]).extend(moving)
        label[moving] = one
