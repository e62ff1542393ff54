"""Indexing: only what changed is encoded, and nothing that happens meanwhile breaks an album."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from galago.album import Searcher, Store
from galago.album import index as index_folders
from galago.album.write import Writer
from galago.errors import ModelError, OptionError
from tests.helpers.albums import FakeEmbedder, check, paths_in, photo, update, vector_of


def test_what_is_unchanged_is_neither_read_nor_encoded(album: Path, photos: Path) -> None:
    first = update(album, photos)
    assert (first.encoded, first.photos, first.seen, first.unchanged) == (10, 10, 10, 0)
    model = FakeEmbedder()
    again = update(album, photos, model=model)
    assert (again.encoded, again.unchanged, again.known) == (0, 10, 0)
    assert model.prepared == model.encoded == 0
    assert paths_in(album) == sorted(str(path) for path in photos.rglob("*.png"))
    check(album)


def test_the_model_is_not_opened_when_nothing_changed(album: Path, photos: Path) -> None:
    update(album, photos)

    def refuse() -> FakeEmbedder:
        raise AssertionError("opened")

    (photos / "p0.png").unlink()
    assert index_folders(album, [photos], refuse, source="fake").gone == 1
    check(album)


def test_changed_moved_and_new_files(album: Path, photos: Path) -> None:
    update(album, photos)
    photo(photos / "p0.png", "blue", 50, age=50)
    (photos / "p2.png").rename(photos / "in" / "renamed.png")
    photo(photos / "new.png", "green", 51)
    os.utime(photos / "p4.png", (1e9, 1e9))
    model = FakeEmbedder()
    done = update(album, photos, model=model)
    assert (done.encoded, done.known, done.gone, done.unchanged) == (2, 2, 1, 7)
    assert model.prepared == 2 and done.photos == 11
    assert paths_in(album) == sorted(str(path) for path in photos.rglob("*.png"))
    check(album)


def test_two_copies_are_both_found_and_encoded_once(album: Path, photos: Path) -> None:
    for place in ("copy.png", "in/copy.png"):
        shutil.copy2(photos / "p0.png", photos / place)
    done = update(album, photos)
    assert (done.encoded, done.known, done.photos) == (10, 2, 12)
    assert {str(photos / "copy.png"), str(photos / "in/copy.png")} <= set(paths_in(album))
    (photos / "copy.png").unlink()
    update(album, photos)
    assert len(paths_in(album)) == 11
    check(album)


def test_vanished_files_leave_only_under_the_folders_walked(album: Path, photos: Path) -> None:
    other = photo(photos.parent / "other" / "a.png", "blue")
    update(album, photos, other.parent)
    shutil.rmtree(photos / "in")
    other.unlink()
    done = update(album, photos)
    assert done.gone == 5 and str(other) in paths_in(album)
    assert update(album, other.parent).gone == 1
    assert len(paths_in(album)) == 5
    check(album)


def test_without_folders_the_known_ones_are_walked(album: Path, photos: Path) -> None:
    with pytest.raises(OptionError, match="say which folder"):
        update(album)
    update(album, photos / "in")
    update(album, photos)
    photo(photos / "in" / "new.png", "green", 99)
    assert update(album).encoded == 1
    with Store.open(album) as store:
        assert store.folders() == [str(photos)]


def test_a_disk_that_is_not_there_today_costs_nothing(album: Path, photos: Path) -> None:
    away = photos.with_name("away")
    update(album, photos)
    photos.rename(away)
    other = photo(away.parent / "other" / "a.png", "blue")
    update(album, other.parent)
    assert len(paths_in(album)) == 11
    lost = update(album)
    assert lost.unreadable == {str(photos): "No such file or directory"} and lost.gone == 0
    photos.mkdir()  # the place is there and empty
    assert update(album, photos).gone == 10 and paths_in(album) == [str(other)]
    photos.rmdir()
    away.rename(photos)
    model = FakeEmbedder()
    back = update(album, photos, model=model)
    assert (back.encoded, back.known, model.prepared) == (0, 10, 0)
    check(album)


def test_an_unreadable_folder_keeps_its_photos(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(album, photos)
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("in"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = update(album, photos)
    assert done.gone == 0 and len(done.unreadable) == 1 and len(paths_in(album)) == 10


# -- models and versions ---------------------------------------------------------------------------


def test_another_model_is_refused_with_the_command_that_helps(album: Path, photos: Path) -> None:
    update(album, photos)
    photo(photos / "new.png", "blue")
    other = FakeEmbedder("fake-2")
    with pytest.raises(OptionError, match=r"galago index --fresh --album mine$"):
        update(album, photos, model=other)
    other.name = "larger"
    with pytest.raises(OptionError, match=r"by fake, not by larger.* --album mine -m /larger$"):
        index_folders(album, [photos], lambda: other, source="/larger")
    fresh = update(album, photos, model=other, fresh=True)
    assert fresh.encoded == 11
    with Store.open(album) as store:
        head = store.head()
        assert head is not None and head.model == "larger"
        assert [path.name for path in album.glob("vectors-*")] == ["vectors-2.f16"]
    check(album)


def test_fresh_walks_all_known_folders(album: Path, photos: Path) -> None:
    other = photo(photos.parent / "other" / "a.png", "blue")
    update(album, photos)
    update(album, other.parent)
    assert update(album, fresh=True).encoded == 11
    assert len(paths_in(album)) == 11


def test_a_model_that_gives_nonsense_is_refused(album: Path, photos: Path) -> None:
    class Broken(FakeEmbedder):
        def embed_pixels(self, pixel_values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return super().embed_pixels(pixel_values) * np.float32(np.nan)

    with pytest.raises(ModelError, match="vectors that can't be used"):
        update(album, photos, model=Broken())


def test_vectors_without_photos_go_when_they_are_old_and_many(album: Path, photos: Path) -> None:
    update(album, photos)
    before = {path: vector_of(album, path) for path in paths_in(album)}
    shutil.rmtree(photos / "in")
    update(album, photos)
    with Searcher(album) as reader, Store.open(album, write=True) as store:
        from galago.album import Part

        query = [Part(np.eye(24, dtype=np.float32)[0])]
        found = reader.search(query, k=99)
        with Writer(store) as writer:
            assert writer.compact() == 0  # not for 30 days
            assert writer.compact(before=time.time() + 1) == 5
            assert writer.head.rows == 5
        assert reader.search(query, k=99) == found  # an open reader follows
    check(album)
    for path in paths_in(album):
        assert np.array_equal(vector_of(album, path), before[path])
    assert update(album, photos).unchanged == 5
    photo(photos / "new.png", "blue")
    assert update(album, photos).encoded == 1
    check(album)


def test_sqlite_is_in_the_mode_that_readers_need(album: Path, photos: Path) -> None:
    update(album, photos)
    connection = sqlite3.connect(album / "album.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
