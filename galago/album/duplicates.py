"""Photos that are the same, or nearly: groups of them, over a whole album."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.album.match import NEAR
from galago.album.store import Store, empty
from galago.album.vectors import Rows
from galago.errors import OptionError

__all__ = ["NEAR", "Copy", "find_duplicates", "near_groups"]

_BLOCK = 4096  # rows compared with as many others at a time: 64 MB of products
_SAMPLE = 1024  # rows that show in which directions the rows of an album differ
_MANY = 0.01  # share of the pairs from which on all are multiplied together
_SLACK = np.float32(1e-4)  # more than float32 loses of a bound
_LOST = 1e-5  # more than float32 loses of a cosine, so that a threshold of 1 finds what is equal


@dataclass(frozen=True)
class Copy:
    """A photo of a group; `likeness`: the cosine with the group's first, which may be 1 by chance.

    `same`: the file's content is that of the first, byte for byte.
    """

    path: str
    size: int
    likeness: float
    same: bool


def find_duplicates(
    folder: Path, threshold: float = NEAR, report: Callable[[float], None] | None = None
) -> list[list[Copy]]:
    """Groups of two or more photos: the largest file of each first, the largest groups first.

    A group grows by likeness to any of its members.  `report` hears the share done.  Raises
    OptionError for no album, nothing in it, or a threshold outside 0.5 .. 1; StorageError.
    """
    if not 0.5 <= threshold <= 1:
        raise OptionError(f"a threshold of {threshold} is not possible: use 0.5 to 1")
    with Store.open(folder) as store:
        return store.steady(lambda: _groups(store, threshold, report or (lambda share: None)))


def _groups(store: Store, threshold: float, report: Callable[[float], None]) -> list[list[Copy]]:
    head = store.head()
    if head is None or not store.any_photo():
        raise OptionError(empty(store.folder.name))
    rows = store.rows(head)
    near = near_groups(rows, threshold, store.unused(), report)
    grouped = {row for group in near for row in group}
    same = store.db.execute(
        "SELECT row FROM photos WHERE row IS NOT NULL GROUP BY row HAVING count(*) > 1"
    )
    near += [[row] for (row,) in same if row not in grouped]
    groups = [_copies(store, rows, group) for group in near]
    return sorted(groups, key=lambda group: (-len(group), group[0].path))


def _copies(store: Store, rows: Rows, group: list[int]) -> list[Copy]:
    photos = [
        (-size, path, place)
        for place, row in enumerate(group)
        for path, size in store.db.execute("SELECT path, size FROM photos WHERE row = ?", (row,))
    ]
    photos.sort()
    vectors = _unit(rows.take(np.array(group)))
    first = photos[0][2]
    likeness = vectors @ vectors[first]
    likeness[first] = 1
    return [
        Copy(os.fsdecode(path), -size, min(1.0, float(likeness[place])), place == first)
        for size, path, place in photos
    ]


def near_groups(
    rows: Rows,
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
    threshold -= _LOST
    label = np.arange(len(rows))
    groups: dict[int, list[int]] = {}
    left_out = np.zeros(len(rows), bool)
    left_out[list(unused)] = True
    basis = _directions(rows)
    blocks = -(-len(rows) // _BLOCK)
    done = 0
    for above, stored in rows.blocks(_BLOCK):
        left = _unit(stored)
        narrow = _narrow(left, basis, left_out[above : above + _BLOCK])
        for beside in range(above, len(rows), _BLOCK):
            part = slice(beside, beside + _BLOCK)
            right = left if beside == above else _unit(rows.take(part))
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


def _unit(stored: Float) -> Float:
    """Rows (n, dim) as long as they were before float16 took a little of their length."""
    return np.asarray(stored / np.linalg.norm(stored, axis=1, keepdims=True), np.float32)


def _directions(rows: Rows) -> Float:
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
