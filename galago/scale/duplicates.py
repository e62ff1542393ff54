"""Pictures of a table that are the same, or nearly: as in an album, whatever the table's size.

All vectors are compared with all (galago/album/near.py), a block with another at a time; they lie
in a temporary file of float16 meanwhile, so memory doesn't grow with the table.  It has no name, so
that nothing is left of it however the process ends.  What is near must show the same details, for
which the pictures are read where they are.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import IO

import numpy as np
from numpy.typing import NDArray

from galago.album.grouping import Copy, Duplicates, Photo, Sorting
from galago.album.match import NEAR
from galago.album.near import near_groups
from galago.album.pixels import LoadGrey, Look, look
from galago.album.present import Indexed
from galago.album.vectors import Block
from galago.disk import refusals
from galago.errors import ImageError, OptionError, StorageError
from galago.media import images
from galago.scale.reader import ODD, Reader, Record, exact_name

__all__ = ["TableDuplicates", "find_duplicates"]

_KEPT = 512  # pictures kept as they are compared: 100 MB
_ASKED = 4096  # rows whose names are asked for at once
_COLUMNS = ["path", "path_bytes", "size", "sha256"]
Place = NDArray[np.int64]


class TableDuplicates(Duplicates):
    """Groups of copies; `unopened`: pictures that are near another one and couldn't be read."""

    unopened: int = 0


def find_duplicates(
    reader: Reader,
    threshold: float = NEAR,
    report: Callable[[float], None] = lambda share: None,
    *,
    where: str = "",
    alike: bool = False,
    read: Callable[[str], bytes],
    load_grey: LoadGrey = images.load_grey,
) -> TableDuplicates:
    """Groups of two or more pictures, as `galago.album.find_duplicates` has them.

    Of one content are rows of one sha256, as it was when the table was made.  `where`: of these
    rows alone.  `read` gives the bytes of a picture by its name (Pictures.read), or raises
    ImageError; `load_grey` opens them.  `report` hears the share done.

    Raises OptionError for a threshold outside 0.5 .. 1; StorageError.
    """
    if not 0.5 <= threshold <= 1:
        raise OptionError(f"a threshold of {threshold} is not possible: use 0.5 to 1")
    unopened: set[bytes] = set()

    def looked(name: bytes) -> Look | None:
        try:
            return look(read(os.fsdecode(name)), load_grey)
        except ImageError:
            unopened.add(name)
            return None

    with _spooled(reader, where, report) as (rows, places):
        near = near_groups(rows, threshold, report=lambda share: report((1 + 2 * share) / 4))
        sorting = Sorting(rows, threshold, alike, lambda photo: photo, lru_cache(_KEPT)(looked))
        groups: list[list[Copy]] = []
        for number, photos in enumerate(_photos(reader, near, places), 1):
            groups += sorting.groups(photos)
            report(0.75 + number / len(near) / 4)
    groups.sort(key=lambda group: (-len(group), group[0].path))
    report(1)
    found = TableDuplicates(groups)
    found.alike, found.unopened = sorting.alike, len(unopened)
    return found


@contextlib.contextmanager
def _spooled(
    reader: Reader, where: str, report: Callable[[float], None]
) -> Iterator[tuple[Block, Place]]:
    """The vectors in a temporary file, and the places of its rows in the table."""
    dim = reader.made.dim
    with contextlib.ExitStack() as held:
        with _told(dim):
            # Without a name (on Windows: gone with its last handle), for a kill leaves no time.
            file = held.enter_context(tempfile.TemporaryFile(prefix="galago-"))
            places = _write(file, reader, where, report)
            file.flush()
            stored = np.empty((0, dim), "<f2")
            if len(places):
                stored = np.memmap(file, "<f2", "r", shape=(len(places), dim))
        yield Block(np.asarray(stored), ODD), places


def _told(dim: int) -> contextlib.AbstractContextManager[None]:
    """What the disk with the temporary file refuses, as one line."""
    try:
        there = tempfile.gettempdir()
    except FileNotFoundError:
        raise StorageError(
            "no folder for temporary files can be written: set TMPDIR to one"
        ) from None
    return refusals(
        full=f"the disk with {there} is full, and comparing takes {2 * dim} bytes a row for a "
        "while: set TMPDIR to a folder on a larger disk",
        closed=f"{there} can't be written: set TMPDIR to another folder",
        other=lambda error: f"{there} can't be written: {error}",
    )


def _write(file: IO[bytes], reader: Reader, where: str, report: Callable[[float], None]) -> Place:
    total = max(1, reader.count(where))
    places = [np.empty(0, np.int64)]
    done = 0
    for some in reader.vectors(where):
        file.write(np.ascontiguousarray(some.stored, "<f2").data)
        places.append(some.places)
        done += len(some.places)
        report(done / total / 4)
    return np.concatenate(places)


def _photos(reader: Reader, near: Sequence[Sequence[int]], places: Place) -> Iterator[list[Photo]]:
    """The contents of each group of rows, with the names of theirs; some groups at a time."""
    held: list[Sequence[int]] = []
    count = 0
    for number, group in enumerate(near, 1):
        held.append(group)
        count += len(group)
        if count < _ASKED and number < len(near):
            continue
        wanted = np.concatenate([np.asarray(one, np.intp) for one in held])
        records = iter(reader.take(places[wanted], _COLUMNS))
        for one in held:
            yield _contents([(row, next(records)) for row in one])
        held, count = [], 0


def _contents(rows: Sequence[tuple[int, Record]]) -> list[Photo]:
    photos: dict[str, Photo] = {}
    for row, record in rows:
        name = exact_name(record)
        content = record["sha256"] or f"row {row}"
        photo = photos.setdefault(content, Photo([], content.encode(), row))
        photo.files.append(Indexed(name, record["size"] or 0, 0))
    for photo in photos.values():
        photo.files.sort(key=lambda file: file.path)
    return list(photos.values())
