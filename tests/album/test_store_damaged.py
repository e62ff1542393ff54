"""A database whose fields are not what galago wrote: one line, whoever reads it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from galago.album import Part, Searcher, Store, find_duplicates
from galago.album.store import write_lock
from galago.album.write import forget
from galago.errors import GalagoError, StorageError
from tests.helpers.albums import photo, update

ODD: tuple[object, ...] = (None, "text", b"\xff\x00", -1, 2**62, float("inf"))
COLUMNS = {
    "head": ("model", "source", "identity", "dim", "generation", "rows", "changed"),
    "background": ("shown", "absent", "reach"),
    "folders": ("path", "hidden", "skip"),
    "vectors": ("row", "hash", "unused"),
    "photos": ("path", "size", "mtime_ns", "row", "error", "ctime_ns"),
    "excluded": ("path",),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An album whose tables have lost their constraints, as bytes may have changed."""
    root = tmp_path_factory.mktemp("whole")
    for seed in range(3):
        photo(root / "photos" / f"{seed}.png", "red", seed)
    (root / "photos" / "same.png").write_bytes((root / "photos" / "0.png").read_bytes())
    update(root / "album", root / "photos")
    path = root / "album" / "album.sqlite"
    database = sqlite3.connect(path)
    for table in COLUMNS:
        database.execute(f"CREATE TABLE other AS SELECT * FROM {table}")
        database.execute(f"DROP TABLE {table}")
        database.execute(f"ALTER TABLE other RENAME TO {table}")
    database.execute("INSERT INTO excluded VALUES (x'2f6e6f6e65')")
    database.execute("CREATE UNIQUE INDEX one ON photos (path)")
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return root


def search(album: Path) -> None:
    with Searcher(album) as searcher:
        searcher.search([Part(np.eye(24, dtype=np.float32)[0])])
        searcher.count()
        searcher.photo(1)


def out(album: Path) -> None:
    with write_lock(album), Store.open(album, write=True) as store:
        forget(store, str(album.parent / "photos"))


USES: dict[str, Callable[[Path], object]] = {
    "search": search,
    "duplicates": lambda album: find_duplicates(album, 0.5),
    "index": update,
    "forget": out,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("table", COLUMNS)
def test_fields_of_any_type_end_in_one_line(
    whole: Path, tmp_path: Path, use: str, table: str
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (tmp_path / "photos").symlink_to(whole / "photos")
    vectors = (whole / "album" / "vectors-1.f16").read_bytes()
    database = (whole / "album" / "album.sqlite").read_bytes()
    for column, value in product(COLUMNS[table], ODD):
        for old in album.iterdir():
            old.unlink()
        (album / "album.sqlite").write_bytes(database)
        (album / "vectors-1.f16").write_bytes(vectors)
        changed = sqlite3.connect(album / "album.sqlite")
        changed.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))
        changed.commit()
        changed.close()
        try:
            USES[use](album)
        except GalagoError as error:
            assert "\n" not in str(error)


ENDLESS = (
    "CREATE VIEW photos AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT CAST('a' || x AS BLOB) path, 1 size, 1 mtime_ns, 0 row, NULL error, NULL ctime_ns "
    "FROM c"
)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "script",
    [
        f"ALTER TABLE photos RENAME TO others; {ENDLESS}",
        "CREATE TRIGGER t AFTER UPDATE ON head BEGIN DELETE FROM photos; END",
    ],
)
def test_what_runs_by_itself_is_refused(whole: Path, tmp_path: Path, use: str, script: str) -> None:
    shutil.copytree(whole / "album", tmp_path / "album")
    (tmp_path / "photos").symlink_to(whole / "photos")
    changed = sqlite3.connect(tmp_path / "album" / "album.sqlite")
    changed.executescript(script)
    changed.close()
    with pytest.raises(StorageError, match="damaged .*delete it and index again"):
        USES[use](tmp_path / "album")
