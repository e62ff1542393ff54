"""Which photos of an album are looked at: those of some folders, of some days."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from galago.album.days import stretch
from galago.album.names import option
from galago.album.present import Indexed
from galago.album.scan import below
from galago.album.store import Store
from galago.errors import OptionError

__all__ = [
    "Dated",
    "Filter",
    "Passing",
    "date_of",
    "filter_of",
    "folders_of_photos",
    "newest",
    "passing",
]

Bounds = tuple[bytes, bytes]  # of paths, as `below` has them

# A photo, its vector's row, and those of the later moments of a video (of a photo: none).
_MOMENTS = (
    "SELECT moments.row FROM frames JOIN vectors AS moments ON moments.hash = frames.hash "
    "JOIN vectors AS first ON first.hash = frames.video JOIN photos ON photos.row = first.row "
    "JOIN vectors ON vectors.row = photos.row"
)
_PHOTOS = "SELECT photos.row FROM photos JOIN vectors ON vectors.row = photos.row"
_SECOND = 1_000_000_000  # ns
_AHEAD = timedelta(days=2)  # clocks of cameras may be of the other side of the world


@dataclass(frozen=True)
class Filter:
    """Only photos in these folders (or below them), taken at this time.

    `since` is part of it, `until` not any more: naive times, by the camera's clock
    (`galago.album.days.stretch` makes them of what people type).  Where a picture says nothing of
    when it was taken, the time of its file stands in, by the clock here.  What is empty asks for
    nothing.
    """

    folders: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.folders) or self.since is not None or self.until is not None


def filter_of(
    folders: Iterable[str] = (), since: str | None = None, until: str | None = None
) -> Filter:
    """A filter of what people type; OptionError for what is no date, or one to come."""
    start = None if since is None else _typed("since", since)[0]
    end = None if until is None else _typed("until", until)[1]
    if start is not None and start > datetime.now() + _AHEAD:
        raise OptionError(f"since {since} is yet to come: no photo is from then")
    if start is not None and end is not None and start >= end:
        raise OptionError(f"until {until} is before since {since}")
    return Filter(tuple(folders), start, end)


def _typed(name: str, text: str) -> tuple[datetime, datetime]:
    try:
        return stretch(text)
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from None


@dataclass(frozen=True)
class Passing:
    """What a filter lets through: places in the vectors; of files, bounds of paths and times."""

    rows: NDArray[np.intp]
    folders: tuple[Bounds, ...]
    since: int | None  # ns
    until: int | None

    def holds(self, file: Indexed, taken: str | None) -> bool:
        """Whether a file of what passed is one that was looked for; `taken`: as in the album."""
        inside = any(start <= file.path < end for start, end in self.folders)
        return (inside or not self.folders) and (bool(taken) or self._in_time(file.mtime_ns))

    def _in_time(self, mtime_ns: int) -> bool:
        early = self.since is not None and mtime_ns < self.since
        return not early and (self.until is None or mtime_ns < self.until)


@dataclass(frozen=True)
class Dated:
    """When a photo was taken, as "2025-06-14 18:30:05"; `by_file`: the time of its file."""

    when: str
    by_file: bool


def passing(store: Store, where: Filter) -> Passing:
    """Inside a transaction.  OptionError for a folder of which the album has nothing, and for a
    time that ends before it begins."""
    if where.since is not None and where.until is not None and where.since >= where.until:
        raise OptionError(f"no time is since {where.since} and before {where.until}")
    bounds = tuple(one for folder in where.folders for one in _bounds(store, folder))
    condition, values = _condition(where, bounds)
    asked = f"{_PHOTOS} WHERE {condition} UNION {_MOMENTS} WHERE {condition}"
    found = store.db.execute(asked, (*values, *values)).fetchall()
    times = (None if when is None else _nanoseconds(when) for when in (where.since, where.until))
    return Passing(np.array([row for (row,) in found], np.intp), bounds, *times)


def newest(store: Store, where: Passing) -> list[int]:
    """Rows that pass and that a photo has, the newest first; of one second by their paths."""
    file = f"strftime('%Y-%m-%d %H:%M:%S', mtime_ns / {_SECOND}, 'unixepoch', 'localtime')"
    found = store.db.execute(
        f"SELECT photos.row, min(path), CASE WHEN taken > '' THEN taken ELSE {file} END AS date "
        "FROM photos JOIN vectors ON vectors.row = photos.row GROUP BY photos.row "
        "ORDER BY date DESC, path"
    )
    wanted = set(where.rows.tolist())
    return [row for row, *_ in found if row in wanted]


def folders_of_photos(store: Store) -> list[str]:
    """The folders that hold photos that can be found, by name."""
    paths = store.db.execute("SELECT path FROM photos WHERE row IS NOT NULL")
    # What has no root is a camera's scene, in the album's own folder.
    return sorted({os.fsdecode(os.path.dirname(p)) for (p,) in paths if os.path.isabs(p)})


def date_of(taken: str | None, mtime_ns: int) -> Dated:
    """What stands for a photo's date, of what the album has of it."""
    if taken:
        return Dated(taken, False)
    try:
        when = datetime.fromtimestamp(mtime_ns // _SECOND).isoformat(" ")
    except (OverflowError, OSError, ValueError):  # years that no calendar has
        when = ""
    return Dated(when, True)


def _condition(where: Filter, bounds: Sequence[Bounds]) -> tuple[str, list[object]]:
    """Of `photos` and `vectors`, and its values."""
    parts, values = ["photos.row IS NOT NULL"], list[object]()
    if where.folders:
        parts.append("(" + " OR ".join(["(path >= ? AND path < ?)"] * len(bounds)) + ")")
        values += [end for one in bounds for end in one]
    for when, sign in ((where.since, ">="), (where.until, "<")):
        if when is not None:
            camera, file = f"vectors.taken {sign} ?", f"photos.mtime_ns {sign} ?"
            parts.append(f"CASE WHEN vectors.taken > '' THEN {camera} ELSE {file} END")
            values += [when.isoformat(" ", "seconds"), _nanoseconds(when)]
    return " AND ".join(parts), values


def _nanoseconds(when: datetime) -> int:
    """Of the clock here; at the ends of what a database counts for years that no clock has."""
    try:
        return int(when.timestamp()) * _SECOND
    except (OverflowError, OSError, ValueError):
        return -(2**62) if when.year < 1970 else 2**62


def _bounds(store: Store, folder: str) -> list[Bounds]:
    """Of a folder as it was typed: the album knows it by its real path, or by a link inside."""
    typed = os.path.expanduser(folder)
    if not typed.strip():
        raise OptionError("the name of a folder is empty; '.' is the current one")
    try:
        whole = os.path.abspath(typed)
        parent, name = os.path.split(whole)
        paths = [os.path.realpath(whole), os.path.join(os.path.realpath(parent), name), whole]
        found = [one for one in map(below, dict.fromkeys(paths)) if _has(store, one)]
    except ValueError as error:  # a NUL in the name
        raise OptionError(f"{folder!r} can't be a folder: {error}") from None
    if found:
        return found
    if os.path.isfile(whole):
        raise OptionError(f"{folder} is a file; give the folder that holds it")
    if not os.path.isdir(whole):
        raise OptionError(f"there is no folder {folder}; check the name")
    name = store.folder.name
    raise OptionError(
        f"album {name!r} has no photo in {folder}: galago index FOLDER{option(name)} takes one in, "
        f"galago album{option(name)} lists those it has"
    )


def _has(store: Store, bounds: Bounds) -> bool:
    asked = "SELECT 1 FROM photos WHERE path >= ? AND path < ? AND row IS NOT NULL LIMIT 1"
    return store.db.execute(asked, bounds).fetchone() is not None
