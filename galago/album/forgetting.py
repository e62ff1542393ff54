"""Scenes that a camera saw leave an album: picture, caption, time and vector, all at once.

What was on its way into the album when it was told to forget must not come in afterwards: a scene
may wait for its caption, or for an index run to end.  So what was forgotten is noted beside the
pictures, as times alone, for whoever brings scenes.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from galago.album.scan import below
from galago.album.seen import SEEN, files, folder_of, make_folder
from galago.album.store import Store
from galago.album.write import Writer, finish_forgetting
from galago.disk import read_regular, whole_file
from galago.errors import StorageError

__all__ = ["Span", "count_seen", "expire", "forget_seen", "forgotten", "keep_of", "set_keep"]

_KEEP, _FORGOTTEN = "keep", "forgotten"  # files beside the pictures
_NOTED = 24 * 3600.0  # seconds that a scene may be on its way at most
_LONGEST = 4096  # bytes of such a file
_PART = ".*.part"  # left by a process that was killed


@dataclass(frozen=True)
class Span:
    """Which scenes: those kept from `since` to `until`, in seconds of the epoch.

    A scene also counts whose picture shows a time from `since` on: clocks are set, and pictures of
    a video file are older than the hour in which they were kept.
    """

    since: float = -math.inf
    until: float = math.inf

    def has(self, kept: float, taken: str = "") -> bool:
        if self.since <= kept <= self.until:
            return True
        return math.isfinite(self.since) and taken >= _local(self.since)


def _local(seconds: float) -> str:
    """As `vectors.taken` writes a time."""
    try:
        return str(datetime.fromtimestamp(seconds))[:19]
    except (OverflowError, OSError, ValueError):  # before what this system can tell
        return ""


def forget_seen(store: Store, span: Span) -> int:
    """Scenes leave album and disk; how many.  Under the album's lock.

    Pictures go first: whenever this is broken off, the same again finishes it.  Raises StorageError
    for pictures that can't be deleted, and when the database's log can't be emptied; sqlite3.Error
    and OSError for what the disk refuses.
    """
    _note_forgotten(store.folder, span)
    _remove_parts(folder_of(store.folder))
    paths = [path for path, kept, taken in _scenes(store) if span.has(kept, taken)]
    held: dict[bytes, str] = {}
    for path in paths:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(store.place(path))
        except OSError as error:
            held[path] = error.strerror or str(error)
    _remove_empty(folder_of(store.folder))
    if store.head() is not None:
        with Writer(store) as writer:
            writer.drop([path for path in paths if path not in held], at_once=True)
            if writer.compact() or paths:
                finish_forgetting(store)
    if held:
        path, reason = next(iter(held.items()))
        raise StorageError(
            f"{len(held)} of {len(paths)} pictures can't be deleted ({os.fsdecode(path)}: "
            f"{reason}); the others are forgotten"
        )
    return len(paths)


def count_seen(store: Store) -> int:
    """How many scenes an album holds."""
    return store.count("photos WHERE path >= ? AND path < ?", below(SEEN))


def keep_of(album: Path) -> float | None:
    """Seconds that this album keeps scenes; None: until they are forgotten.

    StorageError for a note that can't be understood: nothing may be kept for longer than was asked.
    """
    path = folder_of(album) / _KEEP
    try:
        seconds = float(read_regular(path, _LONGEST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        seconds = math.nan
    if not seconds > 0:
        raise StorageError(f"{path} should hold a number of seconds: give --keep again")
    return seconds


def set_keep(album: Path, seconds: float) -> None:
    """Keep scenes for so long from now on.  Under the album's lock; OSError."""
    make_folder(album)
    with whole_file(folder_of(album) / _KEEP, private=True) as file:
        file.write(f"{seconds:.0f}\n".encode())


def expire(store: Store, *, thorough: bool = True) -> int:
    """Forget what is older than the album keeps; how many.  Raises as keep_of and forget_seen.

    Not `thorough`: nothing is looked for on the disk while no row is as old.
    """
    keep = keep_of(store.folder)
    if keep is None:
        return 0
    edge = time.time() - keep
    asked = "SELECT 1 FROM photos WHERE path >= ? AND path < ? AND mtime_ns < ? LIMIT 1"
    values = (*below(SEEN), int(edge * 1e9))
    if not thorough and store.db.execute(asked, values).fetchone() is None:
        return 0
    return forget_seen(store, Span(until=edge))


def forgotten(album: Path) -> list[Span]:
    """What was forgotten of late, for scenes that are on their way.  Under the album's lock."""
    try:
        lines = read_regular(folder_of(album) / _FORGOTTEN, _LONGEST).decode().splitlines()
        return [Span(*map(float, line.split())) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError):  # not ours, so it forgets all that is on its way
        return [Span()]


def _note_forgotten(album: Path, span: Span) -> None:
    place, now = folder_of(album), time.time()
    if not place.is_dir():
        return
    spans = [one for one in forgotten(album) if one.until > now - _NOTED]
    spans.append(Span(span.since, min(span.until, now)))
    with whole_file(place / _FORGOTTEN, private=True) as file:
        for one in spans[-_LONGEST // 64 :]:
            file.write(f"{one.since} {one.until}\n".encode())


def _scenes(store: Store) -> Iterator[tuple[bytes, float, str]]:
    """Name, time of keeping and time shown of all scenes, and of pictures that have no row."""
    known = set()
    asked = (
        "SELECT photos.path, photos.mtime_ns, vectors.taken FROM photos "
        "LEFT JOIN vectors ON vectors.row = photos.row WHERE path >= ? AND path < ?"
    )
    for path, kept, taken in store.db.execute(asked, below(SEEN)).fetchall():
        known.add(path)
        yield path, kept / 1e9, taken or ""
    for file in files(store.folder)[0]:
        if file.path not in known:
            yield file.path, file.mtime_ns / 1e9, ""


def _remove_parts(place: Path) -> None:
    """Under the lock nobody writes one, so whoever did was killed."""
    for pattern in (_PART, f"*/{_PART}"):
        for part in place.glob(pattern):
            with contextlib.suppress(OSError):
                part.unlink()


def _remove_empty(place: Path) -> None:
    for day in place.glob("????-??-??"):
        with contextlib.suppress(OSError):  # it isn't
            day.rmdir()
