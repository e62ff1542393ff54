"""An album on disk: a SQLite database of photos, and beside it the file of their vectors.

    album.sqlite       photos, hashes, what made the vectors; WAL, so that readers never wait
    vectors-N.f16      one row a picture (galago/album/vectors.py); N changes when rows move
    seen/              pictures of what a camera saw (galago/album/seen.py)
    lock               held by whoever indexes

A vector belongs to what is in a file (its hash), not to the file: photos that moved keep theirs,
copies share one, and a vector without photos stays for a while (`unused`), as a disk that was not
there today may be back tomorrow.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from galago.album.embedder import Embedder, Float
from galago.album.fields import are_photos_sound, are_sound, is_passive
from galago.album.match import Background
from galago.album.migrations import MIGRATIONS
from galago.album.names import DATABASE, option
from galago.album.present import Indexed
from galago.album.refusals import clear_errors
from galago.album.vectors import Rows, damaged, remove
from galago.disk import one_at_a_time
from galago.errors import OptionError, StorageError

__all__ = [
    "Head",
    "Moment",
    "Store",
    "check_model",
    "content_hash",
    "discard",
    "empty",
    "write_lock",
]

_APPLICATION = 0x67616C61  # "gala"
T = TypeVar("T")

_ATTEMPTS = 5  # to read while another process writes the vectors anew
_WAIT = 30.0  # seconds for another process's transaction; each takes milliseconds


@dataclass(frozen=True)
class Head:
    """What made an album, and how far its vectors reach."""

    model: str
    source: str
    identity: str
    dim: int
    generation: int
    rows: int
    changed: float


@dataclass(frozen=True)
class Moment:
    """A vector's `digest`, of the `video` (its file's hash) at this second."""

    digest: bytes
    video: bytes
    second: float


class Store:
    """An open database, for one thread; one that is only asked for `row_of`, for many."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.db = connection
        self._own = os.path.abspath(os.fsencode(folder))
        self._one = threading.RLock()

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Store:
        """An album to read, or (made if need be, under its lock) to write.

        Raises OptionError when there is none to read, StorageError for one of a newer galago, a
        damaged one, or what the disk refuses.
        """
        path = folder / DATABASE
        with clear_errors(folder):
            if not write and not path.is_file():
                raise OptionError(
                    f"there is no album {folder.name!r} yet; make it: "
                    f"galago index FOLDER{option(folder.name)}"
                )
            store = cls(folder, _connect(path, write))
            try:
                store._demand(is_passive(store.db))
                store._bring_up_to_date(write)
                store._demand(are_sound(store.db) and (not write or are_photos_sound(store.db)))
            except BaseException:
                store.close()
                raise
            return store

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True, durable: bool = False) -> Iterator[None]:
        """All or nothing; when reading, one unchanging view.

        After a power cut the newest transactions may be undone, but a `durable` one: it must stand
        before a file is deleted that it did away with.
        """
        if durable:
            self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back by itself
                self.db.execute("ROLLBACK")
            raise
        finally:
            if durable:
                self.db.execute("PRAGMA synchronous = NORMAL")

    def steady(self, work: Callable[[], T]) -> T:
        """What `work` makes of one unchanging view; its disk errors as StorageError."""
        with clear_errors(self.folder):
            for _ in range(_ATTEMPTS):
                try:
                    with self.transaction(write=False):
                        return work()
                except FileNotFoundError as error:  # rows moved before their file was opened
                    missing = error
            raise StorageError(damaged(Path(missing.filename))) from missing

    def _bring_up_to_date(self, write: bool) -> None:
        version, application = (
            int(self.db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("user_version", "application_id")
        )
        if application not in (0, _APPLICATION) or (version and not application):
            raise StorageError(f"{self.folder / DATABASE} is no album of galago; move it away")
        if version > len(MIGRATIONS):
            raise StorageError(
                f"album {self.folder.name!r} was made by a newer galago (format {version}, this "
                f"one knows {len(MIGRATIONS)}): update galago, or use another --album"
            )
        if version == len(MIGRATIONS):
            return
        if not write:
            with write_lock(self.folder):  # another may have done it meanwhile: ask again
                return self._bring_up_to_date(True)
        self.db.execute("PRAGMA journal_mode = WAL")
        for number in range(version, len(MIGRATIONS)):
            with self.transaction():
                for statement in MIGRATIONS[number]:
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self.db.execute(f"PRAGMA user_version = {number + 1}")

    def _demand(self, sound: bool) -> None:
        """StorageError for fields that galago didn't write."""
        if not sound:
            raise StorageError(
                f"{self.folder} is damaged (its database holds odd values): delete it and index "
                "again"
            )

    def check_photos(self) -> None:
        """StorageError when something odd is noted of any photo; reads all of them."""
        self._demand(are_photos_sound(self.db))

    def head(self) -> Head | None:
        """None before anything was indexed."""
        found = self.db.execute(
            "SELECT model, source, identity, dim, generation, rows, changed FROM head"
        ).fetchone()
        return Head(*found) if found else None

    def background(self, dim: int) -> tuple[Background, Float]:
        """The embedded phrases, and the album's reach (galago/album/match.py)."""
        shown, absent, reached = self.db.execute(
            "SELECT shown, absent, reach FROM background"
        ).fetchone()
        vectors = (
            np.frombuffer(blob, "<f2").reshape(-1, dim).astype(np.float32)
            for blob in (shown, absent)
        )
        return Background(*vectors), np.frombuffer(reached, "<f4").astype(np.float32)

    def vectors_path(self, generation: int) -> Path:
        return self.folder / f"vectors-{generation}.f16"

    def rows(self, head: Head) -> Rows:
        """The vectors that count, memory-mapped."""
        return Rows(self.vectors_path(head.generation), head.dim, head.rows)

    def unused(self) -> list[int]:
        """Rows that no photo has."""
        found = self.db.execute("SELECT row FROM vectors WHERE unused IS NOT NULL").fetchall()
        ((count,),) = self.db.execute("SELECT coalesce(max(rows), 0) FROM head")
        rows = [row for (row,) in found]
        self._demand(all(isinstance(row, int) and 0 <= row < count for row in rows))
        return rows

    def row_of(self, digest: bytes) -> int | None:
        """The vector of a content, if it has been seen."""
        with self._one:
            found = self.db.execute("SELECT row FROM vectors WHERE hash = ?", (digest,)).fetchone()
        return int(found[0]) if found else None

    def digest_of(self, row: int) -> bytes:
        """The hash of the content that a vector belongs to."""
        found = self.db.execute("SELECT hash FROM vectors WHERE row = ?", (row,)).fetchone()
        self._demand(found is not None and isinstance(found[0], bytes))
        return bytes(found[0])

    def photos_of(self, row: int) -> list[Indexed]:
        """The photos that share a vector, or the videos of which it is a moment; by path."""
        asked = "SELECT path, size, mtime_ns FROM photos WHERE row = ? ORDER BY path"
        found = self.db.execute(asked, (row,)).fetchall()
        if not found and (moment := self.moment_of(row)) is not None:
            found = self.db.execute(asked, (self.row_of(moment.video),)).fetchall()
        self._demand(all(tuple(map(type, one)) == (bytes, int, int) for one in found))
        return [Indexed(self.place(path), *rest) for path, *rest in found]

    def taken(self, row: int) -> str | None:
        """When the content of a vector was taken; '' when it doesn't say, None: not looked for."""
        found = self.db.execute("SELECT taken FROM vectors WHERE row = ?", (row,)).fetchone()
        self._demand(found is None or isinstance(found[0], (str, type(None))))
        return found[0] if found else None

    def moment_of(self, row: int) -> Moment | None:
        """Which moment of which video a vector shows; None for a photo's."""
        found = self.db.execute(
            "SELECT frames.hash, video, second FROM vectors "
            "JOIN frames ON frames.hash = vectors.hash WHERE row = ?",
            (row,),
        ).fetchone()
        return Moment(*found) if found else None

    def of_videos(self) -> list[int]:
        """The rows of videos' moments."""
        found = self.db.execute("SELECT row FROM vectors JOIN frames ON frames.hash = vectors.hash")
        return [row for (row,) in found]

    def row_of_photo(self, number: int) -> int | None:
        """The vector of a photo by its number; None for one that isn't there or can't be read."""
        found = self.db.execute("SELECT row FROM photos WHERE rowid = ?", (number,)).fetchone()
        return found[0] if found else None

    def number_of(self, path: bytes) -> int | None:
        """What names a photo while it is in the album; None when it isn't."""
        named = (self._named(path),)
        found = self.db.execute("SELECT rowid FROM photos WHERE path = ?", named).fetchone()
        return int(found[0]) if found else None

    def photo(self, number: int) -> bytes | None:
        """The path of a photo that can be read, by its number."""
        found = self.db.execute(
            "SELECT path FROM photos WHERE rowid = ? AND row IS NOT NULL", (number,)
        ).fetchone()
        self._demand(found is None or isinstance(found[0], bytes))
        return self.place(found[0]) if found else None

    def place(self, path: bytes) -> bytes:
        """Where a photo lies; what has no root lies in the album's own folder, wherever that is."""
        return os.path.join(self._own, path)

    def _named(self, path: bytes) -> bytes:
        """What the table of photos calls the file at a path."""
        return path.removeprefix(os.path.join(self._own, b""))

    def folders(self) -> list[str]:
        """What was indexed so far."""
        return [os.fsdecode(path) for (path,) in self.db.execute("SELECT path FROM folders")]

    def any_photo(self) -> bool:
        """Whether there is anything to find."""
        found = self.db.execute("SELECT 1 FROM photos WHERE row IS NOT NULL LIMIT 1")
        return found.fetchone() is not None

    def count(
        self, what: str = "photos WHERE row IS NOT NULL", values: Sequence[bytes] = ()
    ) -> int:
        return int(self.db.execute(f"SELECT count(*) FROM {what}", values).fetchone()[0])


def content_hash(data: bytes = b"") -> hashlib.blake2b:
    """What names the content of a file in an album."""
    return hashlib.blake2b(data, digest_size=16)


def empty(name: str) -> str:
    """The line for an album that has nothing in it."""
    return f"album {name!r} has no photos yet: galago index FOLDER{option(name)}"


def check_model(store: Store, head: Head, model: Embedder, source: str) -> None:
    """OptionError, with the command that helps, when another model made the album.

    `source`: what opened this model.
    """
    if head.identity == model.identity and head.dim == model.dim:
        return
    name = store.folder.name
    same = model.name == head.model
    other = f"another version of {head.model}" if same else f"{head.model}, not by {model.name}"
    remedy = f"galago index --fresh{option(name)}"
    if source != head.source:
        remedy += f" -m {shlex.quote(source)}"
    raise OptionError(
        f"album {name!r} was indexed by {other}, and vectors of two models can't be compared; "
        f"index it again: {remedy}"
    )


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    def connect(mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA user_version").fetchone()  # reads, so it fails if it must
        except BaseException:
            connection.close()
            raise
        return connection

    if write:
        connection = connect("mode=rwc")
        # What is deleted is overwritten, by whoever writes: pages that somebody moved words out of
        # would keep them until they are used again, whatever is forgotten later.
        connection.execute("PRAGMA secure_delete = ON")
        return connection
    try:
        return connect("mode=rw")
    except sqlite3.OperationalError:
        # A reader of a database with a log writes beside it. On a disk that can't be written nobody
        # else does either, so the file may be read as it is, provided that nothing is in the log.
        log = path.with_name(f"{path.name}-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        return connect("immutable=1")


@contextlib.contextmanager
def write_lock(
    folder: Path,
    report: Callable[[str], None] | None = None,
    still: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """One process at a time indexes an album; `report` hears when another is waited for.

    `still` is called while it is waited for; what it raises ends the wait.
    """
    wait = f"waiting for another galago that is indexing album {folder.name!r}"
    with contextlib.ExitStack() as held:
        while True:  # who is waited for may discard the album, and the lock with it
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileNotFoundError):
                lock = one_at_a_time(
                    folder / "lock", lambda: report(wait) if report else None, still
                )
                held.enter_context(lock)
                if (folder / "lock").exists():
                    break
                held.close()
        yield


def discard(folder: Path) -> None:
    """Delete an album that has nothing in it yet; under its lock."""
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "lock"):
        remove(folder / name)
    with contextlib.suppress(OSError):
        folder.rmdir()
