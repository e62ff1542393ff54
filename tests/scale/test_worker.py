"""What becomes of pictures in a worker's hands."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import ImageError, MissingExtraError, OptionError, UnopenedError
from galago.media import pool as pools
from galago.media.pool import PicturePool
from galago.scale.items import File, Item, Nowhere
from galago.scale.worker import Work, Worker, open_worker
from tests.helpers.pictures import photo, saved
from tests.helpers.tables import FakeVectors, here, raws

PHOTO = saved(photo(), "PNG")
WORK = Work("fake", batch=8)


def test_a_row_of_a_picture() -> None:
    batch = Worker(WORK, FakeVectors(), here())(raws(PHOTO))
    (row,) = batch.rows
    assert (row.name, row.width, row.height, row.size) == (b"0", 120, 80, len(PHOTO))
    assert row.sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert row.error is None and row.vector is not None
    assert np.linalg.norm(row.vector) == pytest.approx(1)
    assert batch.precision == "fp32" and batch.unread == []


def test_bad_pictures_are_rows_among_good_ones_and_keep_their_place() -> None:
    gone = FileNotFoundError(2, "No such file or directory")
    batch = Worker(WORK, FakeVectors(), here())(
        raws(PHOTO, b"no picture", b"", gone, ImageError("its row has no picture"), PHOTO)
    )
    assert [row.name for row in batch.rows] == [b"0", b"1", b"2", b"4", b"5"]
    assert [bool(row.error) for row in batch.rows] == [False, True, True, True, False]
    assert batch.rows[1].error is not None
    assert batch.rows[1].error.startswith("is not a picture galago can read")
    assert batch.rows[1].sha256 and batch.rows[1].vector is None
    assert batch.rows[3].error == "its row has no picture" and batch.rows[3].sha256 is None
    assert batch.unread == [(b"3", "No such file or directory")]


def test_nothing_but_bad_pictures() -> None:
    vectors = FakeVectors()
    batch = Worker(WORK, vectors, here())(raws(b"no", b"none"))
    assert len(batch.rows) == 2 and vectors.asked == []


def test_a_picture_that_was_given_up_gets_no_row() -> None:
    def load_square(*_: Any, **__: Any) -> None:
        raise UnopenedError("0 was given up: it was not open after 40 s")

    pool = here()
    pool.load_square = load_square
    batch = Worker(WORK, FakeVectors(), pool)(raws(PHOTO))
    assert batch.rows == [] and batch.unread == [(b"0", "was given up: it was not open after 40 s")]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("Out of memory")]
)
def test_too_little_memory_halves_what_is_done_at_once_from_then_on(error: Exception) -> None:
    vectors = FakeVectors(most=2, error=error)
    worker = Worker(WORK, vectors, here())
    batch = worker(raws(*[PHOTO] * 8))
    assert [row.name for row in batch.rows] == [str(number).encode() for number in range(8)]
    assert all(row.error is None for row in batch.rows)
    assert vectors.asked == [8, 4, 2, 2, 2, 2]
    worker(raws(PHOTO, PHOTO, PHOTO))
    assert vectors.asked[6:] == [2, 1]


def test_a_picture_too_large_for_the_memory_is_tried_another_time() -> None:
    batch = Worker(WORK, FakeVectors(most=0), here())(raws(PHOTO, PHOTO))
    why = "needs more memory than there is now"
    assert batch.rows == [] and batch.unread == [(b"0", why), (b"1", why)]


def test_a_bad_line_of_a_list_stops_nothing(tmp_path: Path) -> None:
    items = [
        Item(b"a\0b.jpg", File("a\0b.jpg")),
        Item(b"foo:///x.jpg", Nowhere("foo:///x.jpg names no bucket")),
        *raws(OptionError("foo://b can't be opened: Protocol not known: foo"), PHOTO),
    ]
    batch = Worker(WORK, FakeVectors(), here())(items)
    assert [row.name for row in batch.rows] == [b"1"]
    assert [name for name, _ in batch.unread] == [b"a\0b.jpg", b"foo:///x.jpg", b"0"]
    assert "null" in batch.unread[0][1]
    assert batch.unread[1][1] == "names no bucket"
    assert batch.unread[2][1].startswith("foo://b can't be opened")


def test_a_package_that_is_missing_is_told_at_once() -> None:
    lacks = MissingExtraError("reading s3://bucket needs pyarrow", "cluster")
    with pytest.raises(MissingExtraError):
        Worker(WORK, FakeVectors(), here())(raws(PHOTO, lacks))


def test_faults_are_not_taken_for_too_little_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        Worker(
            WORK,
            FakeVectors(
                most=0,
                error=RuntimeError("a shape"),
            ),
            here(),
        )(raws(PHOTO))


class FakeCaptioner:
    name = "fake-vlm v-1"

    def prepare(self, picture: bytes) -> int:
        return len(picture)

    def describe(self, prepared: int) -> tuple[str, float, str]:
        return f"{prepared} bytes", 0.5, "EXIT"


def test_captions_are_of_good_pictures() -> None:
    work = Work("fake", prompt="What?", read=True)
    worker = Worker(work, FakeVectors(), here(), FakeCaptioner())
    good, bad = worker(raws(PHOTO, b"no picture")).rows
    assert (good.caption, good.confidence, good.text) == (f"{len(PHOTO)} bytes", 0.5, "EXIT")
    assert (bad.caption, bad.confidence, bad.text) == (None, None, None)
    made = worker.made
    assert (made.captioner, made.asked, made.read) == ("fake-vlm v-1", "What?", True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_picture_that_hangs_its_decoder_is_a_row_with_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hang = (
        "\nimport galago.media.worker as worker\n"
        "good = worker.load_square\n"
        "def evil(source, spec, **more):\n"
        "    while bytes(source[:5]) == b'spin!': pass\n"
        "    return good(source, spec, **more)\n"
        "worker.load_square = evil\n"
    )
    monkeypatch.setattr(pools, "_START", pools._START.replace("\n", hang, 1))
    monkeypatch.setattr(pools, "_PATIENCE", 60)  # others use the machine too
    with PicturePool(1, seconds=1) as pool:
        batch = Worker(WORK, FakeVectors(), pool)(raws(PHOTO, b"spin!", PHOTO))
    assert [row.error for row in batch.rows] == [
        None, "takes over 1 s to decode; save it anew", None,
    ]  # fmt: skip


@pytest.mark.model
def test_models_give_what_they_give_elsewhere(tmp_path: Path, ready: Path) -> None:
    from galago.clip.mobileclip import MobileCLIP

    (tmp_path / "a.png").write_bytes(PHOTO)
    item = Item(b"a", File(str(tmp_path / "a.png")))
    worker = open_worker(Work("mobileclip2-nano", batch=4, threads=1, prompt="What is this?",
                              captioner=str(ready)))  # fmt: skip
    try:
        (row,) = worker([item]).rows
        made = worker.made
    finally:
        worker.close()
    clip = MobileCLIP.load("mobileclip2-nano", threads=1)
    expected = clip.embed_images([tmp_path / "a.png"])[0]
    assert row.vector is not None and np.array_equal(row.vector, expected)
    assert row.caption is not None and row.confidence is not None and 0 < row.confidence <= 1
    assert (made.identity, made.dim) == (clip.identity, clip.dim)
    assert made.captioner.startswith("tiny ")
