"""Which folders an album has, how they are walked, and taking them out again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from galago.album import Store
from galago.album.store import write_lock
from galago.album.write import Writer, forget
from galago.errors import ImageError, OptionError
from tests.helpers.albums import POSIX, check, paths_in, photo, update, vector_of


def forgotten(album: Path, *folders: Path) -> int:
    with write_lock(album), Store.open(album, write=True) as store:
        return forget(store, *map(str, folders))


def test_forgetting_a_folder(album: Path, photos: Path) -> None:
    shutil.copy2(photos / "p0.png", photos / "in" / "copy.png")
    update(album, photos)
    kept = {path: vector_of(album, path) for path in paths_in(album) if "/in/" not in path}
    assert forgotten(album, photos / "in") == 6
    assert paths_in(album) == sorted(kept)
    with Store.open(album) as store:  # what was known of them is gone at once
        head = store.head()
        assert head is not None and head.rows == store.count("vectors") == 5
        assert [file.name for file in album.glob("vectors-*")] == ["vectors-2.f16"]
    assert all(np.array_equal(vector_of(album, path), kept[path]) for path in kept)
    check(album)
    with pytest.raises(OptionError, match="has nothing under"):
        forgotten(album, photos / "none")


def test_what_was_forgotten_stays_out_until_it_is_named(album: Path, photos: Path) -> None:
    photo(photos / "in" / "deep" / "a.png", "blue")
    update(album, photos)
    forgotten(album, photos / "in")
    for folders in ((), (photos,)):
        assert update(album, *folders).seen == 5
    assert update(album, fresh=True).seen == 5
    assert update(album, photos / "in" / "deep").encoded == 1
    for folders in ((), (photos,)):
        assert (update(album, *folders).seen, len(paths_in(album))) == (6, 6)
    assert update(album, photos / "in").seen == 6
    assert update(album).seen == 11
    with Store.open(album) as store:
        assert store.folders() == [str(photos)] and store.count("excluded") == 0
    check(album)


def test_forgotten_vectors_go_even_if_it_was_stopped(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "out").mkdir()
    (photos / "in" / "p1.png").rename(photos / "out" / "p1.png")
    update(album, photos)
    monkeypatch.setattr(Writer, "compact", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        forgotten(album, photos / "out")
    monkeypatch.undo()
    update(album)  # one in ten, which otherwise would not be worth it
    with Store.open(album) as store:
        assert store.count("vectors") == 9
    check(album)


def test_how_a_folder_is_walked_is_remembered(album: Path, photos: Path) -> None:
    other = photo(photos.parent / "other" / ".h" / "a.png", "blue").parent.parent
    update(album, photos, skip=("p3*", "p4*"))
    update(album, other, hidden=True)
    assert (update(album).gone, len(paths_in(album))) == (0, 9)
    assert update(album, fresh=True).encoded == 9
    update(album, photos)  # named again, so by its rules of now
    assert len(paths_in(album)) == 11
    update(album, other / ".h")  # no walk of `other` by the usual rules would come here
    with pytest.raises(ImageError, match="no picture"):
        update(album, photos.parent / "albums")
    assert update(album).gone == 0 and len(paths_in(album)) == 11
    assert update(album, skip=("p*",)).gone == 10
    assert len(paths_in(album)) == 1


def test_rules_given_for_no_folder_are_added_to_those_of_each(album: Path, photos: Path) -> None:
    photo(photos / ".h" / "a.png", "blue")
    update(album, photos, hidden=True, skip=("p3*",))
    before = len(paths_in(album))
    assert update(album, skip=("p4*",)).gone == 1 and len(paths_in(album)) == before - 1
    assert update(album, hidden=True).gone == 0 and len(paths_in(album)) == before - 1


def test_a_marked_folder_that_was_named_stays(album: Path, photos: Path) -> None:
    (photos / "in" / ".nomedia").touch()
    assert update(album, photos).seen == 5
    photo(photos / "in" / "deep" / "a.png", "blue")
    assert update(album, photos / "in").encoded == 6
    for folders in ((), (photos,)):
        assert update(album, *folders).gone == 0 and len(paths_in(album)) == 11


def test_what_is_left_out_by_a_path_stays_out(album: Path, photos: Path) -> None:
    done = update(album, photos, skip=(f"{photos}/in", "nothing/like/this"))
    assert (done.seen, done.unmatched) == (5, ["nothing/like/this"])
    assert update(album).seen == 5 and update(album, fresh=True).seen == 5
    assert update(album, photos, skip=("in/*",)).seen == 5
    assert update(album, photos).seen == 10


def test_what_is_left_out_as_a_rule_grows_with_galago(album: Path, photos: Path) -> None:
    photo(photos / "@Recycle" / "a.png", "blue")
    update(album, photos, skip=())
    assert len(paths_in(album)) == 11
    old = ["#recycle", "$RECYCLE.BIN", "*.lrdata", "@eaDir", "System Volume Information"]
    old += ["__MACOSX", "__pycache__", "lost+found", "node_modules", "site-packages", "p3*"]
    with Store.open(album, write=True) as store:
        store.db.execute("UPDATE folders SET skip = ?", (json.dumps(old),))
    assert update(album).gone == 2 and len(paths_in(album)) == 9


def test_a_hidden_folder_that_was_named_stays(album: Path, photos: Path) -> None:
    photo(photos / ".secret" / "a.png", "blue")
    update(album, photos, photos / ".secret")
    for folders in ((), (photos,)):
        assert update(album, *folders).gone == 0 and len(paths_in(album)) == 11


@POSIX
def test_a_link_between_two_folders_brings_nothing_twice(album: Path, photos: Path) -> None:
    other = photo(photos.parent / "other" / "a.png", "blue").parent
    (other / "link").symlink_to(photos)
    update(album, photos)
    update(album, other)
    for folders in ((photos,), (other,), ()):
        done = update(album, *folders)
        assert (done.gone, done.encoded, done.known, done.photos) == (0, 0, 0, 11)


@POSIX
def test_photos_stay_when_their_folder_cannot_be_entered(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(album, photos)
    real = os.stat

    def stat(path: object, **more: object) -> os.stat_result:
        if "/in/" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    done = update(album, photos)
    assert (done.gone, done.photos) == (0, 10)
    assert done.unreadable == {str(photos / "in"): "Permission denied"}
