"""Changes to an album, each one transaction: whatever is killed, what was committed is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from galago.album.embedder import Embedder, Float
from galago.album.match import phrases, reach
from galago.album.scan import below
from galago.album.store import Head, Moment, Store
from galago.album.texts import erase, erase_all, overwrite
from galago.album.vectors import VectorFile, remove
from galago.errors import ModelError, OptionError, StorageError

__all__ = ["Photo", "Writer", "begin", "finish_forgetting", "forget"]

_KEEP = 30 * 24 * 3600.0  # seconds that a vector stays when no photo has it any more
_WORTH = 0.2  # share of the rows that must be stale before the file is written anew
_FORGOTTEN = 0.0  # unused since: goes at once
_MOVED_AT_ONCE = 16_384


@dataclass(frozen=True)
class Photo:
    """What becomes known of a file: the hash of its content, or why it can't be read.

    `taken`: when, as `vectors.taken` has it (galago/album/migrations.py), of a new content.
    """

    path: bytes
    size: int
    mtime_ns: int
    digest: bytes | None = None
    error: str | None = None
    ctime_ns: int | None = None  # None: it is looked into again next time
    taken: str | None = None


class Writer:
    """Adds vectors and photos; under the album's lock."""

    def __init__(self, store: Store) -> None:
        """Of an album that has been begun."""
        head = store.head()
        assert head is not None
        self.head = head
        self._store, self._db = store, store.db
        self._background, self._reach = store.background(head.dim)
        path = store.vectors_path(head.generation)
        for other in store.folder.glob("vectors-*.f16"):
            if other != path:  # of a change that was killed, or that a reader on Windows still had
                remove(other)
        self._file = VectorFile(path, head.dim, head.rows)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(
        self,
        photos: Sequence[Photo],
        digests: Sequence[bytes] = (),
        vectors: Float | None = None,
        *,
        moments: Sequence[Moment] = (),
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """New contents with their vectors (n, dim), and the photos that have them or older ones.

        `moments`: which of the contents are a video's.  `also`: what is written in the same
        transaction, when the contents have their rows.
        """
        vectors = np.empty((0, self.head.dim), np.float32) if vectors is None else vectors
        if vectors.shape != (len(digests), self.head.dim) or not np.isfinite(vectors).all():
            raise ModelError(
                f"{self.head.model} gave vectors that can't be used (shape {vectors.shape}); "
                "fetch the model again"
            )
        rows = self.head.rows + len(digests)
        reached = np.maximum(self._reach, reach(vectors, self._background))
        changed = time.time()
        if len(digests):
            self._file.write(self.head.rows, vectors)
        with self._store.transaction():
            dates = {photo.digest: photo.taken for photo in photos if photo.taken is not None}
            self._db.executemany(
                "INSERT INTO vectors (row, hash, taken) VALUES (?, ?, ?)",
                [(row, one, dates.get(one)) for row, one in enumerate(digests, self.head.rows)],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO frames VALUES (?, ?, ?)",
                [(one.digest, one.video, one.second) for one in moments],
            )
            _settle(self._store, self._point(photos), changed)
            also()
            self._db.execute("UPDATE head SET rows = ?, changed = ?", (rows, changed))
            self._db.execute("UPDATE background SET reach = ?", (_floats(reached, "<f4"),))
        self.head = replace(self.head, rows=rows, changed=changed)
        self._reach = reached

    def _point(self, photos: Iterable[Photo]) -> set[int]:
        """Photos to the vectors of their contents; the rows that were or are theirs."""
        touched: set[int] = set()
        for photo in photos:
            before = self._db.execute("SELECT row FROM photos WHERE path = ?", (photo.path,))
            row = self._store.row_of(photo.digest) if photo.digest else None
            touched |= {found for (found,) in before if found is not None}
            touched |= {row} if row is not None else set()
            self._db.execute(
                "INSERT INTO photos (path, size, mtime_ns, ctime_ns, row, error) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
                "size = excluded.size, mtime_ns = excluded.mtime_ns, "
                "ctime_ns = excluded.ctime_ns, row = excluded.row, error = excluded.error",
                (photo.path, photo.size, photo.mtime_ns, photo.ctime_ns, row, photo.error),
            )
        return touched

    def drop(self, paths: Sequence[bytes], *, at_once: bool = False) -> None:
        """Photos that are no longer there; their vectors stay for a while.

        `at_once`: what is known of them goes with the next `compact`.
        """
        with self._store.transaction():
            _delete(self._store, paths, _FORGOTTEN if at_once else time.time())

    def compact(self, before: float | None = None) -> int:
        """Write the vectors anew without those unused for 30 days; how many.

        Only when they are many, or when some of them were forgotten.
        """
        before = time.time() - _KEEP if before is None else before
        stale = self._store.count(f"vectors WHERE unused < {before:f}")
        at_once = self._store.count(f"vectors WHERE unused = {_FORGOTTEN:f}") > 0
        if stale == 0 or not (at_once or stale >= _WORTH * self.head.rows):
            return 0
        kept = [
            row
            for (row,) in self._db.execute(
                "SELECT row FROM vectors WHERE unused IS NULL OR unused >= ? ORDER BY row",
                (before,),
            )
        ]
        head = replace(self.head, generation=self.head.generation + 1, rows=len(kept))
        old = self._store.rows(self.head)
        file = VectorFile(self._store.vectors_path(head.generation), head.dim, 0)
        try:
            for start in range(0, len(kept), _MOVED_AT_ONCE):
                file.write(start, old.take(np.array(kept[start : start + _MOVED_AT_ONCE])))
            moves = [(new, row) for new, row in enumerate(kept) if new != row]
            with self._store.transaction(durable=True):
                old_hashes = self._db.execute(
                    "SELECT hash FROM vectors WHERE unused < ?", (before,)
                ).fetchall()
                erase(self._store, (digest for (digest,) in old_hashes))
                self._db.execute("DELETE FROM vectors WHERE unused < ?", (before,))
                self._db.execute("DELETE FROM frames WHERE hash NOT IN (SELECT hash FROM vectors)")
                # In rising order, so each number is free when it is given away.
                self._db.executemany("UPDATE vectors SET row = ? WHERE row = ?", moves)
                self._db.executemany("UPDATE photos SET row = ? WHERE row = ?", moves)
                self._db.execute(
                    "UPDATE head SET generation = ?, rows = ?", (head.generation, head.rows)
                )
        except BaseException:
            file.close()
            raise
        self._file.close()
        remove(self._store.vectors_path(self.head.generation))
        self._file, self.head = file, head
        return stale


def begin(store: Store, model: Embedder, source: str) -> None:
    """An empty album of this model, in place of what was there; the list of folders stays."""
    old = store.head()
    shown, absent = phrases()
    vectors = model.embed_phrases([*shown, *absent])
    reached = np.full(len(absent), -np.inf, np.float32)
    generation = old.generation + 1 if old else 1
    head = Head(model.name, source, model.identity, model.dim, generation, 0, time.time())
    remove(store.vectors_path(generation))
    with store.transaction(durable=True):
        erase_all(store)
        for table in ("photos", "frames", "vectors", "background", "head"):
            store.db.execute(f"DELETE FROM {table}")
        store.db.execute(
            "INSERT INTO head VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
            (*(getattr(head, name) for name in Head.__dataclass_fields__),),
        )
        blobs = (vectors[: len(shown)], "<f2"), (vectors[len(shown) :], "<f2"), (reached, "<f4")
        store.db.execute(
            "INSERT INTO background VALUES (1, ?, ?, ?)", [_floats(*blob) for blob in blobs]
        )


def forget(store: Store, *folders: str) -> int:
    """Take folders, their photos and what is known of them out of the album; how many photos.

    They stay out until they are named to index again.  Raises OptionError when the album has
    nothing there.
    """
    count = 0
    ours = False
    for folder in folders:
        ends, name = below(folder), os.fsencode(folder)
        found = store.db.execute("SELECT path FROM photos WHERE path >= ? AND path < ?", ends)
        paths = [path for (path,) in found]
        inside = "path = ? OR (path >= ? AND path < ?)"
        if not paths and not store.count(f"folders WHERE {inside}", (name, *ends)):
            continue
        ours = True
        count += len(paths)
        with store.transaction():
            for table in ("folders", "excluded"):
                store.db.execute(f"DELETE FROM {table} WHERE {inside}", (name, *ends))
            store.db.execute("INSERT INTO excluded VALUES (?)", (name,))
            _delete(store, paths, _FORGOTTEN)
    if not ours:
        raise OptionError(f"album {store.folder.name!r} has nothing under {folders[0]}")
    if store.head() is not None:
        with Writer(store) as writer:
            writer.compact()
    finish_forgetting(store)
    return count


def finish_forgetting(store: Store) -> None:
    """Leave nothing of what was deleted in the database's files.

    Raises StorageError when another program reads the log all the while.
    """
    with store.transaction(durable=True):
        overwrite(store)
    ((busy, *_),) = store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if busy:
        raise StorageError(
            f"what was forgotten left album {store.folder.name!r}, but another program reads the "
            "album's log, which still holds it: end that program and run the same command"
        )


def _delete(store: Store, paths: Sequence[bytes], when: float) -> None:
    """Photos leave; what only they had is unused since then.  Inside a transaction."""
    rows: set[int] = set()
    for path in paths:
        found = store.db.execute("SELECT row FROM photos WHERE path = ?", (path,))
        rows |= {row for (row,) in found if row is not None}
        store.db.execute("DELETE FROM photos WHERE path = ?", (path,))
    _settle(store, rows, when)


def _settle(store: Store, rows: Iterable[int], when: float) -> None:
    """Note for these vectors whether a photo has them; a video's moments follow its first."""
    rows = list(rows)
    store.db.executemany(
        "UPDATE vectors SET unused = CASE WHEN EXISTS (SELECT 1 FROM photos "
        "WHERE photos.row = vectors.row) THEN NULL ELSE coalesce(unused, ?) END WHERE row = ?",
        [(when, row) for row in rows],
    )
    store.db.executemany(
        "UPDATE vectors SET unused = (SELECT unused FROM vectors WHERE row = :row) WHERE hash IN "
        "(SELECT frames.hash FROM frames JOIN vectors ON vectors.hash = frames.video "
        "WHERE vectors.row = :row AND frames.hash != frames.video)",
        [{"row": row} for row in rows],
    )


def _floats(array: Float, kind: str) -> bytes:
    return np.ascontiguousarray(array, kind).tobytes()
