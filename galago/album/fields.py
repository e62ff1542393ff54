"""Whether the fields of an album's database are what galago writes: a disk may have changed them.

SQLite keeps any type in any column, and a damaged page may still be read.
"""

from __future__ import annotations

import json
import sqlite3

from galago.album.patterns import is_sound

__all__ = ["WORDS", "are_photos_sound", "are_sound", "is_passive", "patterns_of"]

# The index of the words in `texts`, by their ids; made with the first of them, so that albums
# without any open where Python's SQLite has no FTS5.
WORDS = "CREATE VIRTUAL TABLE words USING fts5(body, content = '')"

_MOST = 2**40  # of what is counted
_LATEST = 253_402_300_799  # seconds: the end of the year 9999
_LARGEST = 1 << 16  # numbers of a vector
_OFTEN = "typeof({0}) = 'integer' AND {0} BETWEEN {1} AND {2}"
_ONE = ("head", "background")  # written together, one row each

# table -> what holds for each of its rows
_SMALL = {
    "head": " AND ".join(
        (
            "typeof(model) = 'text' AND typeof(source) = 'text' AND typeof(identity) = 'text'",
            _OFTEN.format("dim", 1, _LARGEST),
            _OFTEN.format("generation", 0, _MOST),
            _OFTEN.format("rows", 0, _MOST),
            f"typeof(changed) IN ('real', 'integer') AND changed BETWEEN 0 AND {_LATEST}",
        )
    ),
    "background": (
        "typeof(shown) = 'blob' AND typeof(absent) = 'blob' AND typeof(reach) = 'blob' "
        "AND length(shown) > 0 AND length(shown) % (2 * (SELECT dim FROM head)) = 0 "
        "AND length(absent) * 2 = length(reach) * (SELECT dim FROM head)"
    ),
    "folders": (
        "typeof(path) = 'blob' AND length(path) > 0 AND instr(path, x'00') = 0 "
        "AND typeof(hidden) = 'integer' AND typeof(skip) IN ('text', 'null')"
    ),
    "excluded": "typeof(path) = 'blob' AND length(path) > 0",
    "wishes": "typeof(name) = 'text' AND typeof(value) = 'text'",
}
_LARGE = {
    "vectors": (
        "typeof(row) = 'integer' AND row >= 0 AND row < (SELECT rows FROM head) "
        "AND typeof(hash) = 'blob' AND length(hash) = 16 "
        "AND typeof(unused) IN ('real', 'integer', 'null') "
        "AND (taken IS NULL OR (typeof(taken) = 'text' AND length(taken) <= 19))"
    ),
    "texts": (
        "typeof(hash) = 'blob' AND typeof(kind) = 'text' AND typeof(text) = 'text' "
        "AND typeof(model) IN ('text', 'null')"
    ),
    "frames": (
        "typeof(hash) = 'blob' AND typeof(video) = 'blob' "
        "AND typeof(second) IN ('real', 'integer') AND second >= 0"
    ),
    "photos": (
        "typeof(path) = 'blob' AND length(path) > 0 AND typeof(size) = 'integer' "
        "AND typeof(mtime_ns) = 'integer' AND typeof(ctime_ns) IN ('integer', 'null') "
        "AND typeof(error) IN ('text', 'null') AND (row IS NULL OR (typeof(row) = 'integer' "
        "AND row >= 0 AND row < (SELECT rows FROM head) "
        "AND EXISTS (SELECT 1 FROM vectors WHERE vectors.row = photos.row)))"
    ),
}


def is_passive(db: sqlite3.Connection) -> bool:
    """Whether reading and writing rows does that alone: a view may be without end."""
    asked = (
        "SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index') "
        "OR (sql LIKE 'create virtual%' AND sql <> ?) LIMIT 1"
    )
    return db.execute(asked, (WORDS,)).fetchone() is None


def are_sound(db: sqlite3.Connection) -> bool:
    """The small tables: a head of a begun album has its background."""
    counts = [db.execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in _ONE]
    if counts not in ([0, 0], [1, 1]) or not _hold(db, _SMALL):
        return False
    kept = db.execute("SELECT skip FROM folders WHERE skip IS NOT NULL")
    return all(patterns_of(skip) is not None for (skip,) in kept)


def are_photos_sound(db: sqlite3.Connection) -> bool:
    """The large tables; read whole, so this is for who needs all of them anyway."""
    return _hold(db, _LARGE)


def patterns_of(skip: str) -> tuple[str, ...] | None:
    """The patterns that a folder is kept with; None for something else."""
    try:
        found = json.loads(skip)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return None
    if not all(map(is_sound, found)):
        return None
    return tuple(found)


def _hold(db: sqlite3.Connection, tables: dict[str, str]) -> bool:
    return not any(
        db.execute(f"SELECT 1 FROM {table} WHERE NOT coalesce({rule}, 0) LIMIT 1").fetchone()
        for table, rule in tables.items()
    )
