"""What an album is on disk: its versions, and everything a disk can do to it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from galago.album import Searcher, Store
from galago.album import index as index_folders
from galago.album import store as store_module
from galago.album.vectors import VectorFile
from galago.errors import OptionError, StorageError
from tests.helpers.albums import FakeEmbedder, paths_in, photo, update
from tests.helpers.places import TOP


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(3):
        photo(tmp_path / "photos" / f"{seed}.png", "red", seed)
    return tmp_path / "photos"


@pytest.fixture
def album(tmp_path: Path, photos: Path) -> Path:
    update(tmp_path / "album", photos)
    return tmp_path / "album"


# -- versions --------------------------------------------------------------------------------------


def test_an_album_of_a_newer_galago_is_refused(album: Path, photos: Path) -> None:
    connection = sqlite3.connect(album / "album.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for use in (lambda: Searcher(album), lambda: update(album, photos)):
        with pytest.raises(StorageError, match="newer galago .format 99.*update galago"):
            use()


def test_migrations_are_taken_in_order(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = (
        ("ALTER TABLE head ADD COLUMN note TEXT",),
        ("UPDATE head SET note = 'second'", "CREATE TABLE extra (id INTEGER)"),
    )
    monkeypatch.setattr(store_module, "MIGRATIONS", store_module.MIGRATIONS + more)
    assert len(paths_in(album)) == 3
    with Store.open(album) as store:
        assert store.db.execute("SELECT note FROM head").fetchone() == ("second",)
        newest = len(store_module.MIGRATIONS)
        assert store.db.execute("PRAGMA user_version").fetchone() == (newest,)
    assert update(album, photos).unchanged == 3


def test_an_album_of_the_first_format_is_brought_up_to_date(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, path = store_module.MIGRATIONS[0], tmp_path / "old" / "album.sqlite"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    for statement in first:
        connection.execute(statement)
    connection.execute("INSERT INTO folders VALUES (?)", (os.fsencode(photos),))
    connection.execute("PRAGMA user_version = 1")
    connection.execute(f"PRAGMA application_id = {0x67616C61}")
    connection.commit()
    connection.close()
    assert update(path.parent).encoded == 3


def test_a_migration_that_fails_changes_nothing(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (("CREATE TABLE extra (id INTEGER)", "NONSENSE"),)
    monkeypatch.setattr(store_module, "MIGRATIONS", store_module.MIGRATIONS + broken)
    with pytest.raises(StorageError):
        Store.open(album)
    monkeypatch.undo()
    with Store.open(album) as store:
        assert (
            store.db.execute("SELECT name FROM sqlite_master WHERE name = 'extra'").fetchall() == []
        )
    assert len(paths_in(album)) == 3


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "album.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="is no album of galago"):
        Store.open(tmp_path, write=True)
    assert path.read_bytes() == before


def test_remedies_can_be_pasted_into_a_shell(album: Path, photos: Path) -> None:
    blank = album.rename(album.with_name("two words"))
    (blank / "vectors-1.f16").write_bytes(b"")
    with pytest.raises(StorageError, match="--fresh --album 'two words'$"), Searcher(blank):
        pass
    with pytest.raises(OptionError, match="FOLDER --album 'no album'$"):
        Searcher(album.with_name("no album"))
    other = FakeEmbedder("fake-2")
    photo(photos / "new.png", "blue")
    with pytest.raises(OptionError, match="--fresh --album 'two words' -m '/a b'$"):
        index_folders(blank, [photos], lambda: other, source="/a b")


@pytest.mark.parametrize("damage", [b"this is no database" * 100, None])
def test_a_damaged_database_is_told(album: Path, damage: bytes | None) -> None:
    path = album / "album.sqlite"
    if damage is None:
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xff" * (len(data) - 4096)
        damage = bytes(data)
    path.write_bytes(damage)
    with pytest.raises(StorageError) as caught:
        Searcher(album)
    assert "damaged" in str(caught.value) and "\n" not in str(caught.value)


# -- disks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"), [(errno.ENOSPC, "full: make room"), (errno.EROFS, "can't be written")]
)
def test_a_disk_that_refuses_vectors(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    photo(photos / "new.png", "blue")

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(VectorFile, "write", refuse)
    with pytest.raises(StorageError, match=said):
        update(album, photos)
    monkeypatch.undo()
    assert len(paths_in(album)) == 3
    assert update(album, photos).encoded == 1 and len(paths_in(album)) == 4


ON_A_SMALL_DISK = """
import sys
from pathlib import Path
sys.path.insert(0, {top!r})
from galago.errors import StorageError
from galago.album import Searcher
from tests.helpers.albums import FakeEmbedder, paths_in, update
album, photos = Path({album!r}), Path({photos!r})
try:
    update(album, photos, batch=8)
except StorageError as error:
    print(error)
{then}
"""
FULL = "print(len(paths_in(album)) > 20)"
READ_ONLY = """
try:
    update(album, photos, fresh=True)
except StorageError as error:
    print(error)
print(len(paths_in(album)))
"""


def on_a_disk(tmp_path: Path, mount: str, album: Path, photos: Path, then: str) -> list[str]:
    """Run in a mount namespace of its own, so that nothing stays mounted whatever happens."""
    tool = shutil.which("unshare")
    if sys.platform != "linux" or tool is None or os.system(f"{tool} -m true 2>/dev/null"):
        pytest.skip("unshare -m is not allowed here")
    script = tmp_path / "script.py"
    script.write_text(
        ON_A_SMALL_DISK.format(top=str(TOP), album=str(album), photos=str(photos), then=then)
    )
    done = subprocess.run(
        [tool, "-m", "sh", "-c", f"{mount} && exec {sys.executable} {script}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "mount:" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_really_full_disk(tmp_path: Path) -> None:
    photos, disk = tmp_path / "photos", tmp_path / "disk"
    disk.mkdir()
    data = photo(photos / "0.png").read_bytes()
    for number in range(1, 1400):  # long names fill a disk without much work
        (photos / f"{number:0200d}.png").write_bytes(data + str(number).encode())
    mount = f"mount -t tmpfs -o size=400k none {disk}"
    line, kept = on_a_disk(tmp_path, mount, disk / "album", photos, FULL)
    assert "full: make room and run the same command" in line and kept == "True"


def test_a_read_only_disk_can_be_searched_and_not_indexed(album: Path, photos: Path) -> None:
    disk = album.parent / "disk"
    shutil.copytree(album, disk / "album")
    photo(photos / "new.png", "blue")
    mount = f"mount --bind {disk} {disk} && mount -o remount,ro,bind {disk}"
    lines = on_a_disk(album.parent, mount, disk / "album", photos, READ_ONLY)
    assert len(lines) == 3 and lines[2] == "3"
    assert all("can't be written: set GALAGO_ALBUMS" in line for line in lines[:2])


def test_a_folder_that_cannot_be_made(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="can't be"):
        update(tmp_path / "file" / "album", photos, model=FakeEmbedder())
