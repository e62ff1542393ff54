"""Photos that are the same, or nearly: groups of them, over a whole album.

Vectors propose (galago/album/near.py), the disk and the pixels decide: a path is looked up before
it is returned, files are the same when their bytes are compared now, and what is merely alike must
show the same details (galago/album/pixels.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from galago.album.contents import digest_of
from galago.album.embedder import Float
from galago.album.match import NEAR
from galago.album.near import LOST, near_groups, unit
from galago.album.pixels import LoadGrey, Look, is_copy, look
from galago.album.present import Check, Checked, Indexed, opened
from galago.album.store import Store, empty
from galago.album.vectors import Rows
from galago.errors import ImageError, OptionError
from galago.media import images

__all__ = ["Copy", "Duplicates", "find_duplicates"]

_AHEAD = 16  # pictures opened at once, by as many threads as there are cores
_KEPT = 512  # pictures kept as they are compared: 100 MB
_TRIED = 8  # of the photos that others are listed under, the nearest: a copy is among them
_PIECE = 1 << 20  # bytes of two files compared at a time


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


def find_duplicates(
    folder: Path,
    threshold: float = NEAR,
    report: Callable[[float], None] | None = None,
    *,
    alike: bool = False,
    load_grey: LoadGrey = images.load_grey,
) -> Duplicates:
    """Groups of two or more photos: the largest file of each first, the largest groups first.

    Every other photo of a group has a cosine of `threshold` or more with the first, and the same
    details at the same places; with `alike`, whatever its details are (bursts, pages of text).
    Files that are gone or not as they were indexed are left out and counted in `left_out`; paths
    that lead to one file count as one.  `report` hears the share done; `load_grey` opens
    pictures.

    Raises OptionError for no album, nothing in it, or a threshold outside 0.5 .. 1; StorageError.
    """
    if not 0.5 <= threshold <= 1:
        raise OptionError(f"a threshold of {threshold} is not possible: use 0.5 to 1")
    tell = report or (lambda share: None)
    with Store.open(folder) as store:
        rows, sets = store.steady(
            lambda: _candidates(store, threshold, lambda share: tell(share / 2))
        )
    sorting = _Sorting(rows, threshold, alike, load_grey)
    groups: list[list[Copy]] = []
    for number, photos in enumerate(sets, 1):
        groups += sorting.groups(photos)
        tell(0.5 + number / len(sets) / 2)
    tell(1)
    groups.sort(key=lambda group: (-len(group), group[0].path))
    found = Duplicates(groups, sorting.check.left_out)
    found.alike = sorting.alike
    return found


@dataclass(frozen=True)
class _Photo:
    """A content of the album, and the files that had it when they were indexed."""

    files: list[Indexed]
    digest: bytes
    row: int

    @property
    def rank(self) -> tuple[int, bytes]:
        """Large files come first."""
        return -self.files[0].size, self.files[0].path


@dataclass
class _Group:
    """A photo, and those listed under it with their cosines."""

    first: _Photo
    others: list[tuple[_Photo, float]]

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


def _candidates(
    store: Store, threshold: float, report: Callable[[float], None]
) -> tuple[Rows, list[list[_Photo]]]:
    """Photos that may be copies of others of their set; nothing has been looked up yet."""
    head = store.head()
    if head is None or not store.any_photo():
        raise OptionError(empty(store.folder.name))
    store.check_photos()
    rows = store.rows(head)
    # Moments of one video are alike; of videos, copies byte for byte are found.
    left_out = sorted({*store.unused(), *store.of_videos()})
    near = near_groups(rows, threshold, left_out, report)
    grouped = {row for group in near for row in group}
    same = store.db.execute(
        "SELECT row FROM photos WHERE row IS NOT NULL GROUP BY row HAVING count(*) > 1"
    )
    near += [[row] for (row,) in same if row not in grouped]
    return rows, [[_photo(store, row) for row in group] for group in near]


def _photo(store: Store, row: int) -> _Photo:
    return _Photo(store.photos_of(row), store.digest_of(row), row)


class _Sorting:
    """Puts photos under the first of their kind."""

    def __init__(
        self, rows: Rows, threshold: float, by_likeness: bool, load_grey: LoadGrey
    ) -> None:
        self.check = Check()
        self.alike = 0
        self._rows = rows
        self._threshold, self._by_likeness = threshold - LOST, by_likeness
        self._looks = lru_cache(_KEPT)(partial(_look, load_grey))

    def groups(self, photos: Iterable[_Photo]) -> list[list[Copy]]:
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

    def _there(self, photo: _Photo) -> _Photo:
        """With the files alone that are there and have one content, byte for byte."""
        files = [file for file in photo.files if self.check.admits(file)]
        while len(files) > 1:
            first, *others = files
            equal = [file for file in others if _same_bytes(first.path, file.path)]
            if len(equal) < len(others) and _digest(first.path) != photo.digest:
                self.check.has_changed()
                files = others
                continue
            for _ in range(len(others) - len(equal)):
                self.check.has_changed()
            files = [first, *equal]
            break
        return replace(photo, files=files)

    def _joins(self, photo: _Photo, groups: list[_Group], likeness: Float) -> bool:
        """Whether it was listed under the first of a group; `likeness`: with each of them."""
        places = np.argsort(-likeness, kind="stable")[:_TRIED]
        near = [int(place) for place in places if likeness[place] >= self._threshold]
        for place in near:
            if self._by_likeness or self._is_copy(photo, groups[place].first):
                groups[place].others.append((photo, float(likeness[place])))
                return True
        self.alike += len(photo.files) if near else 0
        return False

    def _is_copy(self, photo: _Photo, first: _Photo) -> bool:
        looks = [self._looks(one.files[0].path) for one in (photo, first)]
        return looks[0] is not None and looks[1] is not None and is_copy(looks[0], looks[1])

    def _opened_ahead(self, photos: list[_Photo]) -> Iterator[_Photo]:
        """The photos of a set, opened some at a time where more than one will be looked at."""
        if self._by_likeness or len(photos) < 2:
            yield from photos
            return
        with ThreadPoolExecutor(thread_name_prefix="galago-look") as pool:
            for start in range(0, len(photos), _AHEAD):
                some = photos[start : start + _AHEAD]
                list(pool.map(lambda photo: self._looks(photo.files[0].path), some))
                yield from some


def _look(load_grey: LoadGrey, path: bytes) -> Look | None:
    """None for a picture that can't be opened any more, which is a copy of nothing."""
    try:
        return look(os.fsdecode(path), load_grey)
    except ImageError:
        return None


def _same_bytes(one: bytes, other: bytes) -> bool:
    """Whether two files hold the same now; one that can't be read holds nothing."""
    try:
        with opened(one) as first, opened(other) as second:
            left = os.fstat(first.fileno()).st_size
            if left != os.fstat(second.fileno()).st_size:
                return False
            while left > 0:  # no further, however one grows meanwhile
                piece = first.read(min(left, _PIECE))
                if not piece or piece != second.read(len(piece)):
                    return False
                left -= len(piece)
            return True
    except OSError:
        return False


def _digest(path: bytes) -> bytes | None:
    """As a content is named in the album; None for what can't be read."""
    try:
        with opened(path) as file:
            return digest_of(file, path)
    except OSError:
        return None
