"""Days on which photos of an album were taken, where an older galago hasn't looked for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from galago.album.store import Store
from galago.errors import ImageError, MissingExtraError, UnopenedError
from galago.progress import Stage

__all__ = ["DATING", "count_undated", "fill_in"]

DATING = Stage("looking for dates")

_AT_ONCE = 200  # of one transaction
# Contents that nobody has looked at for a date, each with a file that has it.
_UNDATED = (
    "FROM vectors JOIN photos ON photos.row = vectors.row "
    "WHERE vectors.taken IS NULL AND vectors.unused IS NULL"
)


@dataclass(frozen=True)
class _File:
    row: int
    path: bytes
    size: int
    mtime_ns: int


def count_undated(store: Store) -> int:
    """How many contents nobody has looked at for a date."""
    found = store.db.execute(f"SELECT count(DISTINCT vectors.row) {_UNDATED}").fetchone()
    return int(found[0])


def fill_in(
    store: Store,
    look: Callable[[str], str],
    workers: int,
    tell: Callable[[Stage, int, int], None],
) -> None:
    """Look for the dates that nobody has looked for; under the album's lock.

    `look`: a path to a date as `galago.media.images.date_taken` gives it, asked by `workers`
    threads; `tell` hears of how many it is done.  What was looked at is kept when it is broken off;
    what isn't there as it was indexed, or can't be opened now, is left for another time.
    """
    total, done = count_undated(store), 0
    if not total:
        return
    tell(DATING, 0, total)
    found: list[tuple[str, int]] = []

    def keep() -> None:
        with store.transaction():
            store.db.executemany("UPDATE vectors SET taken = ? WHERE row = ?", found)
        found.clear()

    try:
        for row, date in _ahead(_undated(store), look, workers):
            done += 1
            if date is not None:
                found.append((date, row))
            if len(found) >= _AT_ONCE:
                keep()
            tell(DATING, done, total)
    finally:
        keep()


def _undated(store: Store) -> Iterator[_File]:
    """A page at a time, so that none is read while rows of it are written."""
    last = -1
    while page := store.db.execute(
        f"SELECT vectors.row, min(path), size, mtime_ns {_UNDATED} AND vectors.row > ? "
        "GROUP BY vectors.row ORDER BY vectors.row LIMIT ?",
        (last, _AT_ONCE),
    ).fetchall():
        yield from (_File(row, store.place(path), *times) for row, path, *times in page)
        last = page[-1][0]


def _ahead(
    files: Iterator[_File], look: Callable[[str], str], workers: int
) -> Iterator[tuple[int, str | None]]:
    """Rows and their dates, in order; None where it couldn't be looked."""
    waiting: deque[tuple[int, Future[str | None]]] = deque()
    with ThreadPoolExecutor(workers, "galago-dates") as pool:
        try:
            for file in files:
                waiting.append((file.row, pool.submit(_date_of, file, look)))
                if len(waiting) >= 4 * workers:
                    row, future = waiting.popleft()
                    yield row, future.result()
            while waiting:
                row, future = waiting.popleft()
                yield row, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _date_of(file: _File, look: Callable[[str], str]) -> str | None:
    try:
        about = os.stat(file.path)
        if (about.st_size, about.st_mtime_ns) != (file.size, file.mtime_ns):
            return None
        return look(os.fsdecode(file.path))
    except (OSError, ValueError, UnopenedError, MissingExtraError):
        return None
    except ImageError:  # what has its pixels all the same has no date to be read
        return ""
