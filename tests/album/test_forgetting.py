"""What is forgotten is in no file of the album any more, and nothing else is."""

from __future__ import annotations

import math
import os
import sqlite3
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from galago.album import Store
from galago.album.forgetting import (
    Span,
    count_seen,
    expire,
    forget_seen,
    forgotten,
    keep_of,
    set_keep,
)
from galago.album.keeper import Keeper
from galago.album.seen import make_folder
from galago.album.store import write_lock
from galago.errors import StorageError
from tests.helpers.albums import FakeEmbedder, check, photo, update
from tests.helpers.scenes import said, scenes, sight

COLOURS = ("red", "green", "blue", "yellow")


def forget(album: Path, span: Span) -> int:
    with write_lock(album), Store.open(album, write=True) as store:
        return forget_seen(store, span)


def long_ago(album: Path, name: str | Path, seconds: float) -> None:
    """A scene that was kept so long ago."""
    (path,) = (album / "seen").rglob(str(name))
    then = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(then, then))
    with write_lock(album), Store.open(album, write=True) as store:
        named = os.fsencode(path.relative_to(album))
        store.db.execute("UPDATE photos SET mtime_ns = ? WHERE path = ?", (then, named))


def kept(album: Path, *captions: str, days: int = 0) -> None:
    """Scenes of these days ago, a second apart."""
    keeper = Keeper(album, FakeEmbedder(), "fake")
    for number, caption in enumerate(captions):
        when = datetime.now().replace(microsecond=0) - timedelta(days=days, seconds=-number)
        keeper.keep(sight(COLOURS[number % 4], number), caption, when)
    keeper.close()


def everything(album: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(album.rglob("*")) if path.is_file())


def test_nothing_of_it_is_left_in_any_file(tmp_path: Path) -> None:
    """Many and long enough that the tables' pages are split and the index's are merged."""
    album = tmp_path / "album"
    words = [f"secret{number:03} was {'left right ' * 30}".strip() for number in range(120)]
    kept(album, *words)
    with write_lock(album), Store.open(album, write=True) as store:
        # Every other one is of long ago, and stays.
        store.db.execute("UPDATE photos SET mtime_ns = 1 WHERE row % 2 = 0")
        store.db.execute("UPDATE vectors SET taken = '' WHERE row % 2 = 0")
    before = everything(album)
    with Store.open(album) as store:
        head = store.head()
        assert head is not None
        gone = [
            (text, bytes(digest), row, store.place(path))
            for text, digest, row, path, kept_ns in store.db.execute(
                "SELECT text, texts.hash, row, path, mtime_ns FROM texts JOIN vectors USING (hash) "
                "JOIN photos USING (row)"
            )
            if kept_ns > 1
        ]
        vectors = [
            store.rows(head).take(np.array([row])).astype("<f2").tobytes() for _, _, row, _ in gone
        ]
    pictures = [Path(os.fsdecode(path)).read_bytes() for _, _, _, path in gone]
    for piece in (*vectors, *(data[-200:] for data in pictures)):
        assert piece in before, "the test looks for what can be found"
    assert len(gone) == 60
    assert forget(album, Span(since=time.time() - 3600)) == 60
    after = everything(album)
    for (text, digest, _, path), vector, data in zip(gone, vectors, pictures, strict=True):
        word = text.split()[0].encode()
        assert word in before and digest in before
        assert word not in after and word.decode().encode("utf-16-le") not in after
        assert vector not in after and data[-200:] not in after
        assert not os.path.exists(path)
    check(album)
    assert len(scenes(album)) == 60 and len(said(album, "left")) == 10
    assert said(album, "secret002") == [words[2]] and said(album, "secret003") == []


@pytest.mark.parametrize(
    ("since", "until", "left"),
    [
        (-3600, math.inf, ["old", "week"]),
        (-math.inf, -3 * 86400, ["new"]),
        (-math.inf, -30 * 86400, ["old", "week", "new"]),
        (-math.inf, math.inf, []),
    ],
)
def test_which_scenes(tmp_path: Path, since: float, until: float, left: list[str]) -> None:
    album = tmp_path / "album"
    for caption, days in (("old", 20), ("week", 7), ("new", 0)):
        kept(album, caption, days=days)
        newest = max(album.rglob("*.jpg"), key=lambda path: path.stat().st_mtime_ns)
        long_ago(album, newest.relative_to(album / "seen"), days * 86400)
    now = time.time()
    assert forget(album, Span(now + since, now + until)) == 3 - len(left)
    assert [caption for _, _, caption in scenes(album)] == left
    assert len(list(album.rglob("*.jpg"))) == len(left)


def test_the_last_hour_has_what_shows_it_though_the_clock_was_set(tmp_path: Path) -> None:
    """A clock that was put back an hour ago leaves times that lie ahead of it."""
    album = tmp_path / "album"
    kept(album, "tomorrow", days=-1)
    long_ago(album, "*.jpg", 7200)
    assert forget(album, Span(since=time.time() - 3600)) == 1


def test_photos_are_no_scenes(tmp_path: Path) -> None:
    album = tmp_path / "album"
    photo(tmp_path / "photos" / "red.png")
    update(album, tmp_path / "photos")
    kept(album, "red")
    assert forget(album, Span()) == 1
    with Store.open(album) as store:
        assert (store.count(), count_seen(store)) == (1, 0)
    assert (tmp_path / "photos" / "red.png").exists()
    check(album)


def test_an_album_without_scenes_forgets_none(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "red.png")
    update(tmp_path / "album", tmp_path / "photos")
    assert forget(tmp_path / "album", Span()) == 0


def test_pictures_without_a_row_and_halves_go_too(tmp_path: Path) -> None:
    """As a kill between a picture and its row, or in the middle of a picture, leaves them."""
    album = tmp_path / "album"
    kept(album, "red")
    (path,) = album.rglob("*.jpg")
    path.with_name("23-59-59.jpg").write_bytes(b"orphan")
    path.with_name(".12-00-00.jpg.1234.part").write_bytes(b"half")
    assert forget(album, Span(since=time.time() - 3600)) == 2
    assert [one.name for one in (album / "seen").rglob("*")] == [".nomedia", "forgotten"]


def test_what_a_kill_left_undone_is_done_by_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = tmp_path / "album"
    kept(album, "secret")
    with monkeypatch.context() as killed:

        def kill(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        killed.setattr("galago.album.write.Writer.compact", kill)
        with pytest.raises(KeyboardInterrupt):
            forget(album, Span())
    assert said(album, "secret") == []
    forget(album, Span())
    assert b"secret" not in everything(album)
    check(album)


def test_a_picture_that_cannot_be_deleted_is_told_and_stays_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = tmp_path / "album"
    kept(album, "one", "two")
    delete = os.unlink

    def refuse(path: object, **more: object) -> None:
        if str(path).endswith(names[1]):
            raise PermissionError(13, "Permission denied")
        delete(path, **more)  # type: ignore[arg-type]

    names = sorted(path.name for path in album.rglob("*.jpg"))
    with monkeypatch.context() as patch:
        patch.setattr("galago.album.forgetting.os.unlink", lambda path: refuse(os.fsdecode(path)))
        with pytest.raises(StorageError, match="1 of 2 pictures can't be deleted"):
            forget(album, Span())
    assert [caption for _, _, caption in scenes(album)] == ["two"]
    assert forget(album, Span()) == 1


def test_a_reader_of_the_log_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = tmp_path / "album"
    kept(album, "secret")
    reader = sqlite3.connect(album / "album.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM photos").fetchone()
    with write_lock(album), Store.open(album, write=True) as store:
        store.db.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(StorageError, match="another program reads"):
            forget_seen(store, Span())
    reader.close()
    forget(album, Span())
    assert b"secret" not in everything(album)


def test_how_long_scenes_stay_is_kept_with_the_album(tmp_path: Path) -> None:
    album = tmp_path / "album"
    kept(album, "old", "new")
    assert keep_of(album) is None
    old, _ = sorted(path.name for path in album.rglob("*.jpg"))
    long_ago(album, old, 8 * 86400)
    with write_lock(album), Store.open(album, write=True) as store:
        assert expire(store) == 0
        set_keep(album, 7 * 86400)
        assert expire(store) == 1 and expire(store) == 0
    assert keep_of(album) == 7 * 86400
    assert [caption for _, _, caption in scenes(album)] == ["new"]


@pytest.mark.parametrize("text", ["", "a week", "-5", "nan", "0"])
def test_a_note_of_how_long_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    make_folder(tmp_path)
    (tmp_path / "seen" / "keep").write_text(text)
    with pytest.raises(StorageError, match="give --keep again"):
        keep_of(tmp_path)


def test_what_is_on_its_way_does_not_come_in_afterwards(tmp_path: Path) -> None:
    album = tmp_path / "album"
    keeper = Keeper(album, FakeEmbedder(), "fake")
    seen = time.time() - 5  # its caption took so long
    assert forget(album, Span(since=time.time() - 3600)) == 0
    keeper.keep(sight(), "secret", seen=seen)
    keeper.keep(sight(), "after", seen=time.time() + 1)
    keeper.close()
    assert [caption for _, _, caption in scenes(album)] == ["after"]
    assert b"secret" not in everything(album)


def test_notes_of_what_was_forgotten_do_not_grow(tmp_path: Path) -> None:
    album = tmp_path / "album"
    kept(album, "red")
    for _ in range(70):
        forget(album, Span(since=time.time() - 1, until=time.time()))
    assert 1 <= len(forgotten(album)) <= 64
    (album / "seen" / "forgotten").write_bytes(b"\xff nonsense")
    assert forgotten(album) == [Span()]


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(time, "tzset"), reason="POSIX")
@pytest.mark.parametrize("now", [1774746600.0, 1793498400.0])  # after each change of the clock
def test_an_hour_is_an_hour_when_the_clock_changes(
    now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        span = Span(since=now - 3600, until=now)
        for ago in range(0, 3600, 300):
            assert span.has(now - ago, str(datetime.fromtimestamp(now - ago)))
        assert not span.has(now - 7200, str(datetime.fromtimestamp(now - 7200 - 3600)))
    finally:
        monkeypatch.undo()
        time.tzset()
