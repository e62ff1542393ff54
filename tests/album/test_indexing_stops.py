"""Indexing stopped or killed at any moment, beside other indexers and searchers."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from galago.album import IndexOptions, Searcher, Store, Summary
from galago.album import index as index_folders
from galago.album.embedder import Float
from galago.album.store import discard, write_lock
from galago.errors import ModelError, UnopenedError
from galago.media.images import Source
from tests.helpers.albums import FakeEmbedder, check, paths_in, photo, update
from tests.helpers.places import TOP
from tests.helpers.waiting import until


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


def test_who_watches_sees_the_summary_grow_and_ends_the_wait_for_another(
    album: Path, photos: Path
) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture")
    into, seen = Summary(), []
    model = FakeEmbedder()

    def report(stage: str, done: int, total: int) -> None:
        seen.append((stage, into.encoded, len(into.failed)))
        if stage == "waiting":
            raise KeyboardInterrupt

    options = IndexOptions(batch=4, workers=1)
    with write_lock(album), pytest.raises(KeyboardInterrupt):
        index_folders(album, [photos], lambda: model, source="fake", options=options, report=report)
    assert [stage for stage, *_ in seen][-1] == "waiting" and not model.encoded
    found = index_folders(
        album, [photos], lambda: model, source="fake", options=options, report=report, into=into
    )
    assert found is into and ("indexing", 8, 1) in seen


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
        assert until(lambda: told)
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
            most = min(40, self.encoded + 4 + 2 * 4)  # as far as they read
            assert until(lambda: self.prepared >= most)
            ahead.append(self.prepared - self.encoded)
            return super().embed_pixels(pixel_values)

    update(album, photos, model=Watched(), batch=4, workers=2)
    assert max(ahead) <= 4 + 2 * 4 + 2


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {top!r})
from tests.helpers.albums import FakeEmbedder, update
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
    script = KILLED.format(
        top=str(TOP), encode=encode, write=write, album=str(album), photos=str(photos)
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
        assert until(lambda: told)
        assert told[0] == "waiting for another galago that is indexing album 'mine'"
        assert set(told[1:]) <= {"waiting"}  # said again, for who may want to leave
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


def test_an_interrupt_waits_for_no_picture_that_hangs(album: Path, photos: Path) -> None:
    given_up, turns = threading.Event(), count()

    class Hanging(FakeEmbedder):
        def prepare(self, picture: Source, *, name: str | None = None) -> Float:
            turn = next(turns)
            pixels = super().prepare(picture, name=name)
            if turn > 4 and given_up.wait(60):
                raise UnopenedError("the picture was not opened: what opened it was stopped")
            return pixels

    model = Hanging(stop_after=0)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        index_folders(
            album,
            [photos],
            lambda: model,
            source="fake",
            options=IndexOptions(batch=2, workers=1),  # one: pictures are taken in turn
            give_up=given_up.set,
        )
    assert time.monotonic() - began < 30
    assert update(album, photos).encoded == 10  # nothing was noted as bad


def test_a_picture_that_was_given_up_is_tried_again(album: Path, photos: Path) -> None:
    class Busy(FakeEmbedder):
        def prepare(self, picture: Source, *, name: str | None = None) -> Float:
            raise UnopenedError("the picture was given up")

    summary = update(album, photos, model=Busy())
    assert len(summary.unread) == 10 and not summary.failed
    assert update(album, photos).encoded == 10
