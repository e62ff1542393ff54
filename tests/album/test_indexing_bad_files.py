"""Indexing what can't be read, or changes while it is read: told, tried again, nothing lost."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from galago.album import Store
from galago.errors import ImageError
from tests.helpers.albums import POSIX, FakeEmbedder, check, older, paths_in, photo, update


def test_bad_pictures_are_told_once_and_tried_again_when_they_change(
    album: Path, photos: Path
) -> None:
    bad = photos / "broken.png"
    bad.write_bytes(photo(photos / "p0.png").read_bytes()[:60])
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "letter.jpg").write_text("Dear Sir or Madam")
    for path in (bad, photos / "empty.jpg", photos / "letter.jpg"):
        older(path)
    first = update(album, photos)
    assert sorted(Path(path).name for path, _ in first.failed) == [
        "broken.png",
        "empty.jpg",
        "letter.jpg",
    ]
    assert all(reason for _, reason in first.failed) and first.photos == 10
    assert update(album, photos).failed == []
    photo(bad, "blue", 77, age=50)
    mended = update(album, photos)
    assert mended.encoded == 1 and mended.photos == 11
    check(album)


def test_a_file_that_cannot_be_read_is_tried_again(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    real = builtins.open

    def refuse(path: object, *rest: object, **more: object) -> object:
        if str(path).endswith("p3.png"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", refuse)
    done = update(album, photos)
    assert [reason for _, reason in done.unread] == ["can't be read: Permission denied"]
    monkeypatch.undo()
    assert update(album, photos).encoded == 1


def test_an_enormous_file_is_not_read(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.album.reading._MAX_BYTES", 5000)
    (photos / "film.jpg").write_bytes(bytes(6000))
    older(photos / "film.jpg")
    ((path, reason),) = update(album, photos).failed
    assert path.endswith("film.jpg") and "larger than" in reason
    assert update(album, photos).failed == []


def test_a_picture_too_large_for_the_memory_is_tried_again(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = FakeEmbedder.prepare
    first: list[object] = []

    def short(self: FakeEmbedder, picture: bytes, **more: Any) -> Any:
        if not first or first[0] == picture:
            first[:] = [picture]
            raise MemoryError
        return prepare(self, picture, **more)

    monkeypatch.setattr(FakeEmbedder, "prepare", short)
    done = update(album, photos, workers=1)
    assert len(done.unread) == 1 and "memory" in done.unread[0][1] and done.photos > 1
    monkeypatch.undo()
    assert update(album, photos).encoded == 1


def test_what_an_extra_would_read_is_tried_again(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    (photos / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 64)
    older(photos / "a.heic")
    for _ in range(2):
        ((_, reason),) = update(album, photos).unread
        assert "to install the extra heic: " in reason


def test_no_picture_is_one_line(album: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1_000):
        os.close(os.open(many / f"{number}.txt", os.O_CREAT))
    with pytest.raises(ImageError, match=r"no picture .* only 1,000 other files") as caught:
        update(album, many)
    assert "\n" not in str(caught.value)
    assert not album.exists()


@POSIX
def test_odd_names_come_back_as_they_were(album: Path, tmp_path: Path) -> None:
    odd = [b"new\nline.png", "🐶 dog.png".encode(), b"latin \xe9.png", b"-rf.png", b"a'b\"c.png"]
    for seed, name in enumerate(odd):
        photo(tmp_path / "odd" / os.fsdecode(name), "red", seed)
    update(album, tmp_path / "odd")
    found = paths_in(album)
    assert {os.fsencode(os.path.basename(path)) for path in found} == set(odd)
    assert all(os.path.exists(path) for path in found)
    assert update(album, tmp_path / "odd").unchanged == len(odd)


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat
    target, touched = str(photos / "p4.png"), []

    def stat(path: object, **more: object) -> os.stat_result:
        # The look after reading: somebody has written to it meanwhile.
        if path == target and threading.current_thread() is not threading.main_thread():
            touched.append(path)
            with Path(target).open("ab") as stream:
                stream.write(b"more")
        return real(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    done = update(album, photos)
    assert done.restless == [target] and touched and done.encoded == 9
    monkeypatch.undo()
    older(Path(target))
    assert update(album, photos).encoded == 1
    check(album)


def test_a_file_from_the_future_is_read_once(album: Path, photos: Path) -> None:
    older(photos / "p0.png", -1e6)
    update(album, photos)
    assert update(album, photos).unchanged == 10


def test_a_file_written_just_now_is_looked_at_once_more(album: Path, photos: Path) -> None:
    """It could be written again within the same tick of the clock that times are kept in."""
    young = photo(photos / "young.png", "green", 5, age=0)
    update(album, photos)
    stamp = young.stat()
    photo(young, "blue", 6)
    os.utime(young, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert young.stat().st_mtime_ns == stamp.st_mtime_ns
    assert update(album, photos).encoded == 1


def test_reasons_read_well_after_a_name(album: Path, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "letter.jpg").write_text("Dear Sir or Madam")
    for name in ("empty.jpg", "letter.jpg"):
        older(photos / name)
    reasons = {Path(path).name: reason for path, reason in update(album, photos).failed}
    assert reasons["empty.jpg"] == "empty (0 bytes)"
    assert reasons["letter.jpg"].startswith("not a picture galago can read")


def test_bad_files_are_not_counted_as_unchanged(album: Path, photos: Path) -> None:
    (photos / "letter.jpg").write_text("Dear Sir or Madam")
    older(photos / "letter.jpg")
    first = update(album, photos)
    assert (first.encoded, first.noted, len(first.failed)) == (10, 0, 1)
    again = update(album, photos)
    assert (again.unchanged, again.noted, again.failed) == (10, 1, [])
    fresh = update(album, photos, fresh=True)
    assert (fresh.unchanged, fresh.noted, len(fresh.failed)) == (0, 0, 1)


def test_a_picture_beyond_the_limit_is_read_when_the_limit_is_raised(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 30), "red").save(photos / "large.png")
    older(photos / "large.png")
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", "0.001")
    for _ in range(2):
        done = update(album, photos)
        ((path, reason),) = done.unread
        assert path.endswith("large.png") and reason.startswith("(40x30) is larger than 0.001 meg")
        assert done.failed == [] and done.noted == 0
    monkeypatch.delenv("GALAGO_MAX_MEGAPIXELS")
    assert update(album, photos).encoded == 1


def test_what_an_older_galago_noted_of_the_limit_is_tried_again(album: Path, photos: Path) -> None:
    update(album, photos)
    with Store.open(album, write=True) as store:
        store.db.execute(
            "UPDATE photos SET row = NULL, error = 'too large; or set GALAGO_MAX_MEGAPIXELS' "
            "WHERE path = ?",
            (os.fsencode(paths_in(album)[3]),),
        )
    done = update(album, photos)
    assert (done.known, done.unchanged, done.noted, done.photos) == (1, 9, 0, 10)
