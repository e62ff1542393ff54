"""Strangers' pictures: whatever one does to the process that opens it, nobody else is touched."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from galago.errors import ImageError, MissingExtraError, OptionError, UnopenedError
from galago.media import images, pool, worker
from galago.media.pool import PicturePool
from galago.specs import ImageSpec
from tests.helpers.pictures import photo, saved, smooth
from tests.helpers.profiles import P3, profile
from tests.helpers.waiting import until

SPEC = ImageSpec(side=256)
GOOD = saved(photo(), "PNG")
# Put before the start of a worker: what it does with a picture whose bytes begin so.
EVIL = """
import os, signal, sys, time
import galago.media.worker as worker
good = worker.load_square
def evil(source, spec, **more):
    what = bytes(source[:5]) if not isinstance(source, str) else b""
    if what == b"spin!":
        while True: pass
    if what == b"sleep":
        time.sleep(600)
    if what == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == b"ended":
        os.kill(os.getpid(), signal.SIGTERM)
    if what == b"junk!":
        os.write(answering, bytes(range(200)))
        os._exit(0)
    if what == b"huge!":
        os.write(answering, b"\\xff" * 12)
        time.sleep(600)
    if what == b"hoard":
        bytearray(1 << 30)
    if what == b"write":
        open(source[5:].decode(), "wb").write(b"there")
    return good(source, spec, **more)
worker.load_square = evil
answering = os.dup(1)
"""


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_START", pool._START.replace("\n", EVIL, 1))


@pytest.fixture
def one() -> Iterator[PicturePool]:
    with PicturePool(1) as opened:
        yield opened


def test_the_same_pixels_as_in_this_process(one: PicturePool, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode("caf\u00e9 \n.png".encode())
    path.write_bytes(GOOD)
    spec = ImageSpec(side=256, mean=(0.5, 0.25, 0.125), std=(0.3, 0.2, 0.1), fit="crop")
    expected = images.load_square(GOOD, spec)
    for source in (path, str(path), GOOD, bytearray(GOOD), io.BytesIO(GOOD), photo()):
        found = one.load_square(source, spec)
        assert found.size == expected.size == (120, 80)
        assert np.array_equal(found.pixels, expected.pixels)
    assert one.thumbnail(path, 64) == images.thumbnail(path, 64)
    grey, size = one.load_grey(path, 64)
    assert size == (120, 80) and np.array_equal(grey, images.load_grey(path, 64)[0])


def test_pages_and_profiles_are_asked_for_as_here(
    one: PicturePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [photo(seed=n) for n in range(3)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    found = one.load_square(data, SPEC, page=2, count_pages=True)
    assert (found.page, found.pages) == (2, 3)
    assert np.array_equal(found.pixels, images.load_square(frames[1], SPEC).pixels)
    wide = saved(photo(), "PNG", icc_profile=profile(P3, 2.2))
    with_profile = one.load_square(wide, SPEC).pixels
    monkeypatch.setenv("GALAGO_ICC", "0")  # after the worker was started
    without = one.load_square(wide, SPEC).pixels
    assert not np.array_equal(with_profile, without)
    assert np.array_equal(without, images.load_square(photo(), SPEC).pixels)


def test_a_relative_path_and_the_smallest_side(
    one: PicturePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blurred.png").write_bytes(saved(smooth(size=(1200, 1200)), "PNG"))
    large = ImageSpec(side=1024)
    found = one.load_square("blurred.png", large, by_content=True)
    assert found.pixels.shape == (512, 512, 3) and found.size == (1200, 1200)


def test_what_is_wrong_with_a_picture_is_told_as_ever(one: PicturePool, tmp_path: Path) -> None:
    for source in (GOOD[:200], b"", tmp_path / "none.png", tmp_path, b"not a picture"):
        with pytest.raises(ImageError) as here:
            images.load_square(source, SPEC, name="it")
        with pytest.raises(ImageError) as there:
            one.load_square(source, SPEC, name="it")
        assert str(there.value) == str(here.value)
    assert one.load_square(GOOD, SPEC).size == (120, 80)


def test_a_missing_extra_stays_one(one: PicturePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    answer = worker._answer  # here, not in a process that has modules of its own
    monkeypatch.setattr(pool._Worker, "ask", lambda _, head, body, *more: answer(head, body))
    with pytest.raises(MissingExtraError, match="to install the extra heic: "):
        one.load_square(b"\0\0\0\x18ftypheic" + b"\0" * 64, SPEC)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize(
    ("picture", "told", "again"),
    [
        (b"spin!", "takes over 1 s to decode", False),
        (b"sleep", "was not open after 3 s", True),
        (b"crash", r"broke what opened it \(-11\)", False),
        (b"ended", "what opened it was stopped", True),
        (b"junk!", "broke what opened it", False),
        (b"huge!", "broke what opened it", False),
        (b"hoard", "needs too much memory", False),
    ],
)
def test_an_evil_picture_costs_its_process_and_nothing_else(
    evil: None, monkeypatch: pytest.MonkeyPatch, picture: bytes, told: str, again: bool
) -> None:
    monkeypatch.setattr(
        pool, "_PATIENCE", 3 if picture == b"sleep" else 60
    )  # others use the machine too
    with PicturePool(1, seconds=1, memory=1 << 29) as one:
        with pytest.raises(ImageError, match=f"^it .*{told}") as caught:
            one.load_square(picture, SPEC, name="it")
        assert isinstance(caught.value, UnopenedError) is again
        assert one.load_square(GOOD, SPEC).size == (120, 80)
        assert len(one._all) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_decoder_that_was_taken_over_writes_no_file(evil: None, tmp_path: Path) -> None:
    target = tmp_path / "written"
    with PicturePool(1) as one, pytest.raises(ImageError):
        one.load_square(b"write" + os.fsencode(target), SPEC)
    assert not target.exists() or target.stat().st_size == 0


def test_closing_gives_up_what_is_being_opened(evil: None) -> None:
    with PicturePool(2) as two, ThreadPoolExecutor(3) as threads:
        coming = [threads.submit(two.load_square, b"sleep", SPEC) for _ in range(3)]
        assert until(lambda: len(two._all) == 2)
        began = time.monotonic()
        two.close()
        for one in coming:
            with pytest.raises(UnopenedError):
                one.result(30)
    assert time.monotonic() - began < 20
    with pytest.raises(UnopenedError, match="no more pictures"):
        two.thumbnail(GOOD, 64)


def test_many_threads_share_few_processes() -> None:
    with PicturePool(2) as two, ThreadPoolExecutor(8) as threads:
        sizes = list(threads.map(lambda _: two.load_square(GOOD, SPEC).size, range(40)))
        assert sizes == [(120, 80)] * 40 and len(two._all) <= 2
    assert until(lambda: all(w._process.poll() is not None for w in two._all))


def test_an_interrupted_question_does_not_answer_the_next(
    evil: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with PicturePool(1) as one:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(pool, "receive", interrupted)
            one.load_square(GOOD, SPEC)
        other = saved(photo(90, 60), "PNG")
        assert one.load_square(other, SPEC).size == (90, 60)


def test_workers_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="needs a worker"):
        PicturePool(0)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with PicturePool(1) as one, pytest.raises(UnopenedError, match="can't be had: No such file"):
        one.load_square(GOOD, SPEC)
    assert threading.active_count() < 100


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_that_was_ended_meanwhile_is_replaced(one: PicturePool) -> None:
    one.warm()
    (worker,) = one._all
    worker.kill()
    worker._process.wait()
    assert one.load_square(GOOD, SPEC).size == (120, 80) and len(one._all) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own(one: PicturePool) -> None:
    one.warm()
    child = os.fork()
    if child == 0:
        os._exit(1 if one._all or one._idle or one._lock.locked() else 0)
    assert os.waitpid(child, 0)[1] == 0
    assert one.load_square(GOOD, SPEC).size == (120, 80)


def test_a_path_is_what_the_system_says(
    one: PicturePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "x.png").write_bytes(saved(photo(90, 60), "PNG"))
    (tmp_path / "x.png").write_bytes(GOOD)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    monkeypatch.chdir(tmp_path)
    assert one.load_square("link/../x.png", SPEC).size == (90, 60)
    with pytest.raises(ImageError):
        one.load_square("half \ud800 a character.png", SPEC)


def test_a_limit_that_is_no_number_is_told_before_pictures_are_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", "abc")
    with pytest.raises(OptionError, match="GALAGO_MAX_MEGAPIXELS"):
        PicturePool(1)
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", "200")
    assert PicturePool(1)._seconds == 20
