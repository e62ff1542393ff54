"""What tells that a file changed: its size, its time, and that anything of it was changed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np

from tests.helpers.albums import POSIX, FakeEmbedder, check, older, photo, update, vector_of


@POSIX
def test_a_picture_edited_with_its_size_and_time_kept_is_noticed(album: Path, photos: Path) -> None:
    path = photos / "p0.png"
    size = path.stat().st_size + 40
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    os.utime(path, (1e9, 1e9))
    update(album, photos)
    before = vector_of(album, str(path))
    path.write_bytes(photo(photos / "other.png", "blue").read_bytes().ljust(size, b"\0"))
    os.utime(path, (1e9, 1e9))
    (photos / "other.png").unlink()
    done = update(album, photos)
    assert (path.stat().st_size, done.encoded, done.unchanged) == (size, 1, 9)
    assert not np.allclose(vector_of(album, str(path)), before, atol=0.1)
    check(album)


@POSIX
def test_other_rights_are_no_other_picture(album: Path, photos: Path) -> None:
    update(album, photos)
    for path in photos.rglob("*.png"):
        path.chmod(0o600)
    model = FakeEmbedder()
    done = update(album, photos, model=model)
    assert (done.known, done.encoded, model.prepared) == (10, 0, 0)
    assert update(album, photos).unchanged == 10


def test_an_album_that_knows_no_such_times_is_looked_through_once(
    album: Path, photos: Path
) -> None:
    update(album, photos)
    with sqlite3.connect(album / "album.sqlite") as database:
        database.execute("ALTER TABLE photos DROP COLUMN ctime_ns")
        database.execute("ALTER TABLE vectors DROP COLUMN taken")
        for table in ("texts", "frames", "wishes"):
            database.execute(f"DROP TABLE {table}")
        database.execute("PRAGMA user_version = 2")
    database.close()
    model = FakeEmbedder()
    first = update(album, photos, model=model)
    assert (first.known, first.encoded, model.prepared) == (10, 0, 0)
    assert update(album, photos).unchanged == 10


def test_a_young_file_is_looked_at_once_more(album: Path, photos: Path) -> None:
    photo(photos / "p0.png", "red", 0, age=0)
    assert update(album, photos).encoded == 10
    older(photos / "p0.png")
    assert update(album, photos).known == 1 and update(album, photos).unchanged == 10
