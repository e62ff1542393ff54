"""Photos put under the first of their kind: near by their vectors, and equal in what they show.

Whether a photo is there, and what it looks like, its owner says: an album of files that are looked
up on the disk, or a table of what may lie anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.album.near import LOST, unit
from galago.album.pixels import Look, is_copy
from galago.album.present import Checked, Indexed

__all__ = ["Copy", "Duplicates", "Photo", "Sorting"]

_AHEAD = 16  # pictures opened at once, by as many threads as there are cores
_TRIED = 8  # of the photos that others are listed under, the nearest: a copy is among them


@dataclass(frozen=True)
class Copy:
    """A photo of a group; `likeness`: the cosine with the group's first, which may be 1 by chance.

    `same`: the file's content is that of the first, byte for byte, compared when it was asked for.
    """

    path: str
    size: int
    likeness: float
    same: bool


class Duplicates(Checked[list[Copy]]):
    """Groups of copies; `alike`: photos that are near another one and no copy of it."""

    alike: int = 0


@dataclass(frozen=True)
class Photo:
    """A content, the files that had it when they were indexed, and the place of its vector."""

    files: list[Indexed]
    digest: bytes
    row: int

    @property
    def rank(self) -> tuple[int, bytes]:
        """Large files come first."""
        return -self.files[0].size, self.files[0].path


class Vectors(Protocol):
    """Rows by their places, float32 (n, dim); `galago.album.vectors.Rows` has them."""

    def take(self, rows: NDArray[np.intp], /) -> Float: ...


@dataclass
class _Group:
    """A photo, and those listed under it with their cosines."""

    first: Photo
    others: list[tuple[Photo, float]]

    def copies(self) -> list[Copy]:
        found = [_copy(file, 1.0, True) for file in self.first.files]
        others = [
            _copy(file, min(1.0, likeness), False)
            for photo, likeness in self.others
            for file in photo.files
        ]
        return found + sorted(others, key=lambda copy: (-copy.size, copy.path))


def _copy(file: Indexed, likeness: float, same: bool) -> Copy:
    return Copy(os.fsdecode(file.path), file.size, likeness, same)


class Sorting:
    """Puts photos under the first of their kind.

    `there` gives a photo with those of its files that count now, `looks` what its first file shows,
    None where it can't be opened; with `by_likeness` nothing is opened.  `alike` counts photos that
    are near another and no copy of it.
    """

    def __init__(
        self,
        rows: Vectors,
        threshold: float,
        by_likeness: bool,
        there: Callable[[Photo], Photo],
        looks: Callable[[bytes], Look | None],
    ) -> None:
        self.alike = 0
        self._rows = rows
        self._threshold, self._by_likeness = threshold - LOST, by_likeness
        self._there, self._looks = there, looks

    def groups(self, photos: Iterable[Photo]) -> list[list[Copy]]:
        """The groups of a set."""
        there = [there for photo in photos if (there := self._there(photo)).files]
        there.sort(key=lambda photo: photo.rank)
        vectors = unit(self._rows.take(np.array([photo.row for photo in there], np.intp)))
        groups: list[_Group] = []
        firsts = np.empty_like(vectors)
        for photo, vector in zip(self._opened_ahead(there), vectors, strict=True):
            if not self._joins(photo, groups, firsts[: len(groups)] @ vector):
                firsts[len(groups)] = vector
                groups.append(_Group(photo, []))
        return [copies for group in groups if len(copies := group.copies()) > 1]

    def _joins(self, photo: Photo, groups: list[_Group], likeness: Float) -> bool:
        """Whether it was listed under the first of a group; `likeness`: with each of them."""
        places = np.argsort(-likeness, kind="stable")[:_TRIED]
        near = [int(place) for place in places if likeness[place] >= self._threshold]
        for place in near:
            if self._by_likeness or self._is_copy(photo, groups[place].first):
                groups[place].others.append((photo, float(likeness[place])))
                return True
        self.alike += len(photo.files) if near else 0
        return False

    def _is_copy(self, photo: Photo, first: Photo) -> bool:
        looks = [self._looks(one.files[0].path) for one in (photo, first)]
        return looks[0] is not None and looks[1] is not None and is_copy(looks[0], looks[1])

    def _opened_ahead(self, photos: list[Photo]) -> Iterator[Photo]:
        """The photos of a set, opened some at a time where more than one will be looked at."""
        if self._by_likeness or len(photos) < 2:
            yield from photos
            return
        with ThreadPoolExecutor(thread_name_prefix="galago-look") as pool:
            for start in range(0, len(photos), _AHEAD):
                some = photos[start : start + _AHEAD]
                list(pool.map(lambda photo: self._looks(photo.files[0].path), some))
                yield from some
