"""What there is to do: the files of a walk against the photos of an album.

Kept in temporary tables of the database, so that a million names take no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from galago.album.scan import Found, below
from galago.album.store import Store
from galago.media.limits import SETTING

__all__ = ["Plan"]

_PAGE = 500


class Plan:
    """Fill it with `look`, then read off what is new and what is gone."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        self._db.execute(
            "CREATE TEMP TABLE seen (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, "
            "ctime_ns INTEGER) WITHOUT ROWID"
        )

    def look(self, files: Iterable[Found]) -> Iterator[int]:
        """Take the walk's files in; yields how many so far."""
        count, stream = 0, iter(files)
        while page := list(islice(stream, _PAGE)):
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR IGNORE INTO temp.seen VALUES (?, ?, ?, ?)",
                [(file.path, file.size, file.mtime_ns, file.ctime_ns) for file in page],
            )
            self._db.execute("COMMIT")
            count += len(page)
            yield count

    def compare(self, roots: Iterable[str], unreadable: Iterable[str]) -> tuple[int, int]:
        """How many files are new or changed, and how many photos under the roots are gone.

        What lies under a folder that could not be read this time is not gone.
        """
        for table in ("todo", "gone"):
            self._db.execute(f"DROP TABLE IF EXISTS temp.{table}")
        self._db.execute(
            "CREATE TEMP TABLE todo AS SELECT seen.* FROM temp.seen "
            "LEFT JOIN photos ON photos.path = seen.path WHERE photos.path IS NULL "
            "OR photos.size != seen.size OR photos.mtime_ns != seen.mtime_ns "
            "OR photos.ctime_ns IS NOT seen.ctime_ns "
            # A limit that may have been raised since; older versions noted such photos as bad.
            f"OR instr(photos.error, '{SETTING}') ORDER BY seen.path"
        )
        self._db.execute("CREATE TEMP TABLE gone (path BLOB PRIMARY KEY) WITHOUT ROWID")
        for root in roots:
            self._db.execute(
                "INSERT OR IGNORE INTO temp.gone SELECT path FROM photos "
                "WHERE path >= ? AND path < ? AND path NOT IN (SELECT path FROM temp.seen)",
                below(root),
            )
        for folder in unreadable:
            self._db.execute("DELETE FROM temp.gone WHERE path >= ? AND path < ?", below(folder))
        return self._count("todo"), self._count("gone")

    def seen(self) -> int:
        return self._count("seen")

    def noted(self) -> int:
        """How many files are as they were when they couldn't be read; after `compare`."""
        return self._count(
            "seen JOIN photos ON photos.path = seen.path WHERE photos.error IS NOT NULL "
            "AND seen.path NOT IN (SELECT path FROM temp.todo)"
        )

    def todo(self) -> Iterator[Found]:
        """Files to look into, in the order of their paths."""
        last = 0
        while page := self._db.execute(
            "SELECT rowid, path, size, mtime_ns, ctime_ns FROM temp.todo WHERE rowid > ? LIMIT ?",
            (last, _PAGE),
        ).fetchall():
            yield from (Found(*row[1:]) for row in page)
            last = page[-1][0]

    def gone(self) -> list[bytes]:
        """Photos that are no longer there."""
        return [path for (path,) in self._db.execute("SELECT path FROM temp.gone")]

    def _count(self, table: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM temp.{table}").fetchone()[0])
