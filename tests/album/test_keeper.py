"""Scenes while a camera runs: nobody waits for another process, nothing is lost in silence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from galago.album import IndexOptions, Store, index
from galago.album.forgetting import Span, forget_seen
from galago.album.keeper import BusyError, Keeper
from galago.album.store import write_lock
from galago.errors import OptionError, StorageError
from tests.helpers.albums import POSIX, FakeEmbedder, check, photo, update
from tests.helpers.scenes import said, scenes, sight

Usage = namedtuple("Usage", "total used free")


def opened(album: Path, **more: object) -> Keeper:
    return Keeper(album, FakeEmbedder(), "fake", **more)  # type: ignore[arg-type]


def captions(album: Path) -> list[str]:
    return sorted(caption for _, _, caption in scenes(album))


def test_scenes_wait_while_another_process_writes(tmp_path: Path) -> None:
    album = tmp_path / "album"
    keeper = opened(album)
    with write_lock(album):
        for caption in ("one", "two"):
            assert not keeper.keep(sight(), caption)
        assert keeper.waiting == 2
    keeper.keep(sight(), "three")
    assert keeper.waiting == 0 and captions(album) == ["one", "three", "two"]
    check(album)


def test_who_comes_later_waits_for_nobody(tmp_path: Path) -> None:
    album = tmp_path / "album"
    opened(album, keep=3600.0)

    def waits(line: str) -> None:
        raise AssertionError(line)

    with write_lock(album):
        later = opened(album, report=waits, begun=True)
        assert later.kept_for == 3600.0
        assert not later.keep(sight(), "one") and later.waiting == 1
    assert later.keep(sight(), "two") and captions(album) == ["one", "two"]
    check(album)


def test_what_waits_at_the_end_comes_in_when_the_other_is_done(tmp_path: Path) -> None:
    album = tmp_path / "album"
    keeper = opened(album)
    with write_lock(album):
        assert not keeper.keep(sight(), "late")
        assert keeper.close(patience=0) == 1, "lost, and told so"
        closing = threading.Thread(target=keeper.close, args=(60,))
        closing.start()
    closing.join()
    assert captions(album) == ["late"]


def test_not_more_wait_than_memory_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.album.keeper._WAITING", 2)
    album = tmp_path / "album"
    keeper = opened(album)
    with write_lock(album):
        for caption in ("one", "two", "three"):
            assert not keeper.keep(sight(), caption)
    keeper.close()
    assert captions(album) == ["three", "two"], "the oldest has gone"


def test_forgetting_forgets_what_waits(tmp_path: Path) -> None:
    album = tmp_path / "album"
    keeper = opened(album)
    keeper.keep(sight(), "first")
    with write_lock(album):
        assert not keeper.keep(sight(), "second")
        with pytest.raises(
            BusyError, match="indexing album 'album'"
        ):  # those in the album; what waits has gone
            keeper.forget(3600)
        assert keeper.waiting == 0
    assert keeper.forget(3600) == 1
    keeper.close()
    assert captions(album) == []


def test_two_watches_and_one_that_forgets(tmp_path: Path) -> None:
    album = tmp_path / "album"
    keepers = [opened(album), opened(album)]
    lost: list[BaseException] = []

    def watch(number: int) -> None:
        for scene in range(12):
            try:
                keepers[number].keep(sight(seed=scene), f"{number} {scene}")
            except BaseException as error:
                lost.append(error)

    def forget() -> None:
        for _ in range(3):
            with write_lock(album), Store.open(album, write=True) as store:
                forget_seen(store, Span(since=time.time() - 3600))

    threads = [threading.Thread(target=watch, args=(number,)) for number in (0, 1)]
    threads.append(threading.Thread(target=forget))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for keeper in keepers:
        assert keeper.close() == 0
    assert lost == []
    check(album)
    names = {name for name, _, _ in scenes(album)}
    assert names == {path.name for path in album.rglob("*.jpg")}


def test_a_full_disk_is_told_and_room_brings_them_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = tmp_path / "album"
    keeper = opened(album)
    with monkeypatch.context() as full:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("galago.album.seen.whole_file", refuse)
        with pytest.raises(StorageError, match="is full"):
            keeper.keep(sight(), "one")
    keeper.keep(sight(), "two")
    assert captions(album) == ["one", "two"]
    check(album)


def test_a_camera_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = tmp_path / "album"
    keeper = opened(album)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 1 << 29))
    with pytest.raises(StorageError, match="less than 1 GB left"):
        keeper.keep(sight(), "one")
    assert captions(album) == []


def test_another_model_meanwhile(tmp_path: Path) -> None:
    album, other = tmp_path / "album", FakeEmbedder("fake-2")
    keeper = opened(album)
    keeper.keep(sight(), "one")
    index(album, [], lambda: other, source="fake", options=IndexOptions(fresh=True))
    with pytest.raises(OptionError, match="was indexed by another version"):
        keeper.keep(sight(), "two")
    assert captions(album) == ["one"]
    with pytest.raises(OptionError, match="was indexed by another version"):
        opened(album)


def test_an_album_deleted_meanwhile_is_not_made_anew(tmp_path: Path) -> None:
    album = tmp_path / "album"
    keeper = opened(album)
    keeper.keep(sight(), "one")
    shutil.rmtree(album)
    with pytest.raises((OptionError, StorageError)):
        keeper.keep(sight(), "two")
    assert not (album / "seen").exists()


def test_an_album_of_photos_takes_scenes_too(tmp_path: Path) -> None:
    album = tmp_path / "album"
    photo(tmp_path / "photos" / "red.png")
    update(album, tmp_path / "photos")
    keeper = opened(album)
    keeper.keep(sight("blue"), "blue")
    keeper.close()
    assert captions(album) == ["blue"]
    check(album)


def test_what_grows_old_goes_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = tmp_path / "album"
    keeper = opened(album, keep=7 * 86400.0)
    assert keeper.period == 3600, "looked for once an hour"
    keeper.keep(sight(), "old")
    with write_lock(album), Store.open(album, write=True) as store:
        store.db.execute("UPDATE photos SET mtime_ns = 1")
    keeper.keep(sight(), "new")
    assert captions(album) == ["new", "old"]
    keeper.period = 0
    keeper.keep(sight(), "newer")
    assert captions(album) == ["new", "newer"] and said(album, "old") == []
    assert opened(album, keep=120.0).period == 60


@POSIX
def test_killed_at_any_moment_nothing_is_half(tmp_path: Path) -> None:
    album = tmp_path / "album"
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from galago.album.keeper import Keeper\n"
        "from tests.helpers.albums import FakeEmbedder\n"
        "from tests.helpers.scenes import sight\n"
        "keeper = Keeper(Path(sys.argv[1]), FakeEmbedder(), 'fake')\n"
        "print('on', flush=True)\n"
        "for number in range(10_000):\n"
        "    keeper.keep(sight(seed=number % 7), f'scene {number}')\n"
        "    print(number, flush=True)\n"
    )
    for stop in (1, 4):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(album)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(stop):
            process.stdout.readline()
        process.kill()
        process.communicate()
    found = scenes(album)
    assert len(found) >= 3 and all(caption for _, _, caption in found)
    opened(album).keep(sight(), "after")
    check(album)
    with write_lock(album), Store.open(album, write=True) as store:
        forget_seen(store, Span())
    left = {path.name for path in (album / "seen").rglob("*")}
    assert left == {".nomedia", "forgotten"}


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="can't be written"):
        opened(tmp_path / "album")
