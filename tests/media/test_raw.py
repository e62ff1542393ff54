"""Raw photos: the picture inside them is what is seen, upright."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError, MissingExtraError
from galago.media.images import PICTURE_SUFFIXES, load_square, open_image
from galago.media.pool import PicturePool
from galago.media.raw import RAW_SUFFIXES, is_installed, is_raw
from galago.specs import ImageSpec
from tests.helpers.raws import write_raw

pytest.importorskip("rawpy", reason="the extra `raw` is not installed")

BLUE, RED = (20, 20, 220), (200, 30, 30)


def _near(one: object, other: tuple[int, int, int]) -> bool:
    return int(np.abs(np.subtract(one, other)).max()) < 12  # type: ignore[arg-type, call-overload]


@pytest.mark.parametrize(
    ("orientation", "size", "first"),
    [(1, (640, 480), BLUE), (3, (640, 480), RED), (6, (480, 640), BLUE), (8, (480, 640), RED)],
)
def test_the_picture_inside_is_seen_upright(
    tmp_path: Path, orientation: int, size: tuple[int, int], first: tuple[int, int, int]
) -> None:
    image = open_image(write_raw(tmp_path / "a.dng", orientation=orientation))
    assert image.size == size and _near(image.getpixel((5, 5)), first)
    last = BLUE if first == RED else RED
    assert _near(image.getpixel((size[0] - 5, size[1] - 5)), last)


def test_a_preview_is_not_turned_twice(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.dng", orientation=6, exif=6)
    assert open_image(path).size == (480, 640)


def test_what_it_is_tells_its_content_not_its_name(tmp_path: Path) -> None:
    data = write_raw(tmp_path / "a.dng").read_bytes()
    (tmp_path / "b.tif").write_bytes(data)
    sizes = {open_image(one).size for one in (data, io.BytesIO(data), tmp_path / "b.tif")}
    assert sizes == {(640, 480)}


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    import os

    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.dng"))
    try:
        write_raw(path)
    except OSError:
        pytest.skip("this disk takes text alone")
    assert open_image(path).size == (640, 480)


def test_a_large_preview_is_reduced_as_any_jpeg(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.dng", preview=(2400, 1600), orientation=8)
    square = load_square(path, ImageSpec(64))
    assert square.size == (1600, 2400) and square.pixels.shape == (64, 64, 3)


def test_a_pool_opens_them(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.dng", orientation=6)
    with PicturePool(1) as pool:
        assert Image.open(io.BytesIO(pool.thumbnail(str(path), 100))).size == (75, 100)


def test_other_tiffs_are_none(tmp_path: Path) -> None:
    for compression in (None, "tiff_lzw"):
        stream = io.BytesIO()
        Image.new("RGB", (30, 20), RED).save(stream, "TIFF", compression=compression)
        assert not is_raw(stream, stream.getvalue()[:32])
        assert open_image(stream.getvalue()).size == (30, 20)


@pytest.mark.parametrize(
    "head",
    [
        b"II*\0\x10\0\0\0CR\2\0" + bytes(99),
        b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(99),
        b"FUJIFILMCCD-RAW 0201" + bytes(99),
        b"IIRO\x08\0\0\0" + bytes(99),
        b"IIU\0\x18\0\0\0" + bytes(99),
    ],
)
def test_damaged_ones_of_other_cameras_are_told(head: bytes) -> None:
    with pytest.raises(ImageError, match="raw photo that is damaged, cut short, or of a camera"):
        open_image(head)


def test_one_without_a_picture_inside(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="without a picture inside.*save it as JPEG"):
        open_image(write_raw(tmp_path / "a.dng", preview=None))


def test_one_that_is_cut_short(tmp_path: Path) -> None:
    data = write_raw(tmp_path / "a.dng").read_bytes()
    for length in range(40, len(data), 1999):
        with pytest.raises(ImageError):
            open_image(data[:length])


def test_directories_without_end_are_left(tmp_path: Path) -> None:
    data = bytearray(write_raw(tmp_path / "a.dng").read_bytes())
    start = int.from_bytes(data[4:8], "little")
    data[start : start + 2] = b"\xff\xff"
    with pytest.raises(ImageError):
        open_image(bytes(data))


def test_it_has_one_page(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no page 2"):
        open_image(write_raw(tmp_path / "a.dng"), page=2)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    assert not is_installed() and RAW_SUFFIXES < PICTURE_SUFFIXES
    with pytest.raises(
        MissingExtraError, match="is a raw photo.*to install the extra raw: .*rawpy"
    ):
        open_image(write_raw(tmp_path / "a.dng"))
