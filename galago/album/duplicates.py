"""Photos that are the same, or nearly: groups of them, over a whole album.

Vectors propose (galago/album/near.py), the disk and the pixels decide: a path is looked up before
it is returned, files are the same when their bytes are compared now, and what is merely alike must
show the same details (galago/album/pixels.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from galago.album.contents import digest_of
from galago.album.grouping import Copy, Duplicates, Photo, Sorting
from galago.album.match import NEAR
from galago.album.near import near_groups
from galago.album.pixels import LoadGrey, Look, look
from galago.album.present import Check, opened
from galago.album.store import Store, empty
from galago.album.vectors import Rows
from galago.errors import ImageError, OptionError
from galago.media import images

__all__ = ["find_duplicates"]

_KEPT = 512  # pictures kept as they are compared: 100 MB
_PIECE = 1 << 20  # bytes of two files compared at a time


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
    disk = _OnDisk()
    looks = lru_cache(_KEPT)(partial(_look, load_grey))
    sorting = Sorting(rows, threshold, alike, disk.there, looks)
    groups: list[list[Copy]] = []
    for number, photos in enumerate(sets, 1):
        groups += sorting.groups(photos)
        tell(0.5 + number / len(sets) / 2)
    tell(1)
    groups.sort(key=lambda group: (-len(group), group[0].path))
    found = Duplicates(groups, disk.check.left_out)
    found.alike = sorting.alike
    return found


def _candidates(
    store: Store, threshold: float, report: Callable[[float], None]
) -> tuple[Rows, list[list[Photo]]]:
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


def _photo(store: Store, row: int) -> Photo:
    return Photo(store.photos_of(row), store.digest_of(row), row)


class _OnDisk:
    """Looks photos up as they are now."""

    def __init__(self) -> None:
        self.check = Check()

    def there(self, photo: Photo) -> Photo:
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
