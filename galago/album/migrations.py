"""The tables of an album's database, and how older albums get them."""

from __future__ import annotations

__all__ = ["MIGRATIONS"]

# Numbered from 1: the album's format is how many of them it has been through.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE head (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            model TEXT NOT NULL,       -- for people
            source TEXT NOT NULL,      -- how to open it again
            identity TEXT NOT NULL,    -- what tells its vectors from another model's
            dim INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            rows INTEGER NOT NULL,     -- of the vector file; what lies behind was not committed
            changed REAL NOT NULL
        )""",
        """CREATE TABLE background (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            shown BLOB NOT NULL,       -- float16 (n, dim)
            absent BLOB NOT NULL,      -- float16 (m, dim)
            reach BLOB NOT NULL        -- float32 (m,)
        )""",
        "CREATE TABLE folders (path BLOB PRIMARY KEY) WITHOUT ROWID",
        """CREATE TABLE vectors (
            row INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE,
            unused REAL                -- since when no photo has it
        )""",
        "CREATE INDEX vectors_unused ON vectors (row) WHERE unused IS NOT NULL",
        """CREATE TABLE photos (
            path BLOB NOT NULL UNIQUE,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            row INTEGER,               -- of its vector; none when it can't be read
            error TEXT
        )""",
        "CREATE INDEX photos_row ON photos (row) WHERE row IS NOT NULL",
        "CREATE INDEX photos_error ON photos (path) WHERE error IS NOT NULL",
    ),
    (
        "ALTER TABLE folders ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE folders ADD COLUMN skip TEXT",  # a JSON list; none: what is usual
        "CREATE TABLE excluded (path BLOB PRIMARY KEY) WITHOUT ROWID",  # forgotten
    ),
    # None: not known, so the file is looked into again.
    ("ALTER TABLE photos ADD COLUMN ctime_ns INTEGER",),
    (
        # By the camera's clock, "2026-11-29 14:05:00"; '': it says none; none: not looked for.
        "ALTER TABLE vectors ADD COLUMN taken TEXT",
        # Words that belong to a content (galago/album/texts.py).
        """CREATE TABLE texts (
            id INTEGER PRIMARY KEY,
            hash BLOB NOT NULL,
            kind TEXT NOT NULL,        -- read: what stands in it; caption: what was said of it
            text TEXT NOT NULL,
            UNIQUE (hash, kind)
        )""",
        # Moments of a video. The first one has the hash of the video's file, so that a photo's
        # row leads to it, and copies and moves are known by it.
        """CREATE TABLE frames (
            hash BLOB PRIMARY KEY,     -- of the moment's vector
            video BLOB NOT NULL,       -- hash of the file
            second REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX frames_video ON frames (video)",
    ),
    (
        "ALTER TABLE texts ADD COLUMN model TEXT",  # that read it; none: not known
        # What later runs do as well (galago/album/wishes.py).
        "CREATE TABLE wishes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)
