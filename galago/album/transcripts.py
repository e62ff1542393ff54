"""What stands written in an album's photos, read by a model that is passed in, one by one.

Each is kept as soon as it is read, so stopping loses at most the one in hand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from galago.album.present import Check, Indexed
from galago.album.reading import read_ahead
from galago.album.scan import below
from galago.album.store import Store
from galago.album.texts import write
from galago.errors import ImageError
from galago.media.images import Source
from galago.progress import Stage

__all__ = ["READ", "READING", "Reader", "Transcribed", "readers", "transcribe", "waiting"]

READING = Stage("reading")
_PAGE = 200
_THREADS = 2  # open pictures; reading one takes far longer
# Contents that photos have and that aren't videos, and nobody has read.
_UNREAD = (
    "vectors JOIN photos ON photos.row = vectors.row WHERE vectors.unused IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM frames WHERE frames.hash = vectors.hash) "
    "AND NOT EXISTS (SELECT 1 FROM texts WHERE texts.hash = vectors.hash AND texts.kind = 'read')"
)
# Texts of contents that photos have.
READ = (
    "texts JOIN vectors ON vectors.hash = texts.hash WHERE kind = 'read' AND vectors.unused IS NULL"
)


class Reader(Protocol):
    """galago.vlm.reading.TextReader is one; `prepare` is called from several threads at once."""

    @property
    def name(self) -> str: ...

    def prepare(self, picture: Source) -> Any:
        """A picture, opened; raises ImageError."""
        ...

    def read(self, picture: Any) -> str:
        """What is written in it; '' for nothing."""
        ...


@dataclass
class Transcribed:
    """What became of photos that nobody had read; counts of contents."""

    model: str = ""
    read: int = 0
    written: int = 0  # of them show text
    others: list[str] = field(default_factory=list)  # models that read the rest of the album
    unread: list[tuple[str, str]] = field(default_factory=list)  # tried again next time
    seconds: float = 0.0


@dataclass(frozen=True)
class _Waiting:
    """A content, and a photo that has it."""

    row: int
    digest: bytes
    photo: Indexed


@dataclass(frozen=True)
class _Opened:
    """`picture` for the reader, or why there is none; neither for one that changed since."""

    waiting: _Waiting
    picture: Any = None
    error: str | None = None


def waiting(store: Store, roots: Sequence[str]) -> int:
    """How many contents under these folders nobody has read."""
    where, values = _under(roots)
    return store.count(f"(SELECT 1 FROM {_UNREAD} AND ({where}) GROUP BY vectors.row)", values)


def readers(store: Store) -> list[str]:
    """The models that have read photos of the album."""
    found = store.db.execute(
        "SELECT DISTINCT model FROM texts WHERE kind = 'read' AND model IS NOT NULL ORDER BY model"
    )
    return [str(name) for (name,) in found]


def transcribe(
    store: Store,
    roots: Sequence[str],
    reader: Reader,
    tell: Callable[[Stage, int, int], None],
    count: int,
) -> Transcribed:
    """Read what nobody has read of the photos under `roots`; under the album's lock.

    `count`: as `waiting` says.  Raises StorageError, and what the reader does but ImageError.
    """
    start = time.monotonic()
    done = Transcribed(reader.name)
    done.others = [name for name in readers(store) if name != reader.name]
    tell(READING, 0, count)
    pictures = read_ahead(_each(store, roots), partial(_opened, reader), _THREADS, 2 * _THREADS)
    with closing(pictures):
        for number, opened in enumerate(pictures, 1):
            if opened.error is not None:
                done.unread.append((os.fsdecode(opened.waiting.photo.path), opened.error))
            elif opened.picture is not None:
                text = reader.read(opened.picture)
                _keep(store, opened.waiting.digest, text, reader.name)
                done.read += 1
                done.written += bool(text)
            tell(READING, number, count)
    done.seconds = time.monotonic() - start
    return done


def _keep(store: Store, digest: bytes, text: str, model: str) -> None:
    with store.transaction():
        write(store, digest, "read", text)
        store.db.execute(
            "UPDATE texts SET model = ? WHERE hash = ? AND kind = 'read'", (model, digest)
        )


def _each(store: Store, roots: Sequence[str]) -> Iterator[_Waiting]:
    """In the order in which they were indexed, a page at a time."""
    where, values = _under(roots)
    last = -1
    while page := store.db.execute(
        f"SELECT vectors.row, hash, min(path), size, mtime_ns FROM {_UNREAD} AND ({where}) "
        "AND vectors.row > ? GROUP BY vectors.row ORDER BY vectors.row LIMIT ?",
        (*values, last, _PAGE),
    ).fetchall():
        yield from (_Waiting(row, digest, Indexed(*photo)) for row, digest, *photo in page)
        last = page[-1][0]


def _under(roots: Sequence[str]) -> tuple[str, list[bytes]]:
    """For SQL: whether a photo's path lies under one of the folders."""
    values = [end for root in roots for end in below(root)]
    return " OR ".join(["(photos.path >= ? AND photos.path < ?)"] * len(roots)) or "0", values


def _opened(reader: Reader, one: _Waiting) -> _Opened:
    if not Check().admits(one.photo):  # gone or changed since: it will be indexed again
        return _Opened(one)
    try:
        return _Opened(one, reader.prepare(os.fsdecode(one.photo.path)))
    except ImageError as error:
        return _Opened(one, error=str(error))
    except MemoryError:
        return _Opened(one, error="there is too little memory to read it")
