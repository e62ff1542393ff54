"""Indexing: only what changed is encoded, and nothing that happens meanwhile breaks an album."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from galago.album import Searcher, Store
from galago.album import index as index_folders
from galago.album.store import discard, write_lock
from galago.album.write import Writer
from galago.errors import ImageError, ModelError, OptionError
from tests.albums import POSIX, FakeEmbedder, check, older, paths_in, photo, update, vector_of


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


# -- bad files -------------------------------------------------------------------------------------


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
    monkeypatch.setattr("galago.album.indexing._MAX_BYTES", 5000)
    (photos / "film.jpg").write_bytes(bytes(6000))
    older(photos / "film.jpg")
    ((path, reason),) = update(album, photos).failed
    assert path.endswith("film.jpg") and "larger than" in reason
    assert update(album, photos).failed == []


def test_what_an_extra_would_read_is_tried_again(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    (photos / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 64)
    older(photos / "a.heic")
    for _ in range(2):
        ((_, reason),) = update(album, photos).unread
        assert "pip install 'galago[heic]'" in reason


def test_no_picture_is_one_line(album: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(10_000):
        os.close(os.open(many / f"{number}.txt", os.O_CREAT))
    with pytest.raises(ImageError, match=r"no picture .* only 10,000 other files") as caught:
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


# -- interruptions ---------------------------------------------------------------------------------


def test_interrupted_keeps_the_batches_done_and_continues(album: Path, photos: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        update(
            album,
            photos,
            model=FakeEmbedder(stop_after=8),
            report=lambda *step: told.append(step),
        )
    assert told[-1] == ("indexing", 8, 10)
    assert len(paths_in(album)) == 8
    check(album)
    rest = update(album, photos)
    assert (rest.encoded, rest.unchanged) == (2, 8)
    check(album)


def test_a_first_run_that_was_stopped_continues_without_naming_folders(
    album: Path, photos: Path
) -> None:
    def stopped() -> FakeEmbedder:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_folders(album, [photos], stopped, source="fake")
    with pytest.raises(KeyboardInterrupt):
        update(album, model=FakeEmbedder(stop_after=4))
    assert update(album).encoded == 6


def test_a_fresh_run_that_was_stopped_continues_without_fresh(album: Path, photos: Path) -> None:
    other = photo(photos.parent / "other" / "a.png", "blue")
    update(album, photos)
    with pytest.raises(KeyboardInterrupt):
        update(album, other.parent, model=FakeEmbedder("fake-2", stop_after=4), fresh=True)
    assert update(album, model=FakeEmbedder("fake-2")).unchanged == 4
    assert len(paths_in(album)) == 11
    check(album)


def test_a_first_run_that_fails_leaves_nothing_behind(album: Path, photos: Path) -> None:
    def absent() -> FakeEmbedder:
        raise ModelError("no such model")

    with pytest.raises(ModelError):
        index_folders(album, [photos], absent, source="fake")
    assert not album.exists()
    update(album, photos / "in")
    photo(photos / "new.png", "blue")
    with pytest.raises(ModelError):  # an album that was there stays as it was
        index_folders(album, [photos], absent, source="fake")
    with Store.open(album) as store:
        assert store.folders() == [str(photos / "in")] and store.count() == 5


def test_who_waits_for_an_album_that_is_discarded_makes_it_anew(album: Path, photos: Path) -> None:
    told: list[str] = []
    done: list[int] = []

    def second() -> None:
        done.append(update(album, photos, report=lambda stage, *_: told.append(stage)).encoded)

    with write_lock(album):
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        discard(album)
        assert not album.exists()
    thread.join(timeout=20)
    assert done == [10] and len(paths_in(album)) == 10


def test_reader_threads_end_before_the_album_closes(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[bool] = []
    real = Store.close

    def close(self: Store) -> None:
        alive.append(any("galago-read" in thread.name for thread in threading.enumerate()))
        real(self)

    monkeypatch.setattr(Store, "close", close)
    kept: list[BaseException] = []  # with its frames, which hold on to the generator
    try:
        update(album, photos, model=FakeEmbedder(stop_after=4))
    except KeyboardInterrupt as error:
        kept.append(error)
    assert kept and alive and not any(alive)


def test_at_most_two_batches_are_read_ahead(album: Path, photos: Path) -> None:
    for seed in range(30):
        photo(photos / f"more{seed}.png", "blue", seed)
    ahead = []

    class Watched(FakeEmbedder):
        def embed_pixels(self, pixel_values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            time.sleep(0.01)
            ahead.append(self.prepared - self.encoded)
            return super().embed_pixels(pixel_values)

    update(album, photos, model=Watched(), batch=4, workers=2)
    assert max(ahead) <= 4 + 2 * 4 + 2


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {top!r})
from tests.albums import FakeEmbedder, update
from galago.album.store import Store
from galago.album.vectors import VectorFile

class Killed(FakeEmbedder):
    def embed_pixels(self, pixels):
        if self.encoded >= {encode}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_pixels(pixels)

write = VectorFile.write
def half(self, start, vectors):
    if start >= {write}:
        write(self, start, vectors[:1])
        os.write(self._file, b"part of a row")
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, start, vectors)
VectorFile.write = half
update(Path({album!r}), Path({photos!r}), model=Killed())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize(("encode", "write"), [(4, 99), (99, 4)])
def test_killed_loses_at_most_the_batch_in_hand(
    album: Path, photos: Path, encode: int, write: int
) -> None:
    top = str(Path(__file__).resolve().parent.parent)
    script = KILLED.format(
        top=top, encode=encode, write=write, album=str(album), photos=str(photos)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(paths_in(album)) == 4
    check(album)
    rest = update(album, photos)
    assert (rest.encoded, rest.unchanged, rest.photos) == (6, 4, 10)
    check(album)


def test_two_processes_take_turns(album: Path, photos: Path) -> None:
    told: list[str] = []
    done: list[int] = []

    def second() -> None:
        summary = update(album, photos, report=lambda stage, *_: told.append(stage))
        done.append(summary.encoded)

    with write_lock(album):
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        assert told == ["waiting for another galago that is indexing album 'mine'"]
        assert not done
    thread.join(timeout=20)
    assert done == [10]


def test_searching_while_indexing(album: Path, photos: Path) -> None:
    update(album, photos / "in")
    seen: list[int] = []
    with Searcher(album) as searcher:
        from galago.album import Part

        query = [Part(np.eye(24, dtype=np.float32)[0])]

        class Looking(FakeEmbedder):
            def embed_pixels(self, pixel_values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
                seen.append(len(searcher.search(query, k=100)))
                return super().embed_pixels(pixel_values)

        for seed in range(20, 27):
            photo(photos / f"more{seed}.png", "blue", seed)
        update(album, photos, model=Looking(), batch=4)
        seen.append(len(searcher.search(query, k=100)))
    assert seen == [5, 9, 13, 17]
    check(album)


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
