"""Pictures as people have them: every kind opens as it looks, every bad one says what is wrong."""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.errors import ImageError, MissingExtraError, OptionError
from galago.media import formats
from galago.media.images import load_grey, load_square, open_image, thumbnail
from galago.specs import ImageSpec
from tests.helpers.pictures import BLUE, RED, WHITE, photo, png_header, saved
from tests.helpers.places import DATA

HEIC = DATA / "half-red.heic"


# -- sources ---------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    image = photo()
    data = saved(image, "PNG")
    path = tmp_path / "note.png"
    path.write_bytes(data)
    with path.open("rb") as stream:
        sources = [path, str(path), data, bytearray(data), io.BytesIO(data), stream]
        opened = [open_image(source) for source in sources]
    opened += [open_image(image), open_image(np.asarray(image))]
    assert all(one.mode == "RGB" and one.tobytes() == image.tobytes() for one in opened)


def test_callers_picture_and_stream_are_left_alone() -> None:
    image = photo().convert("RGBA")
    before = image.tobytes()
    open_image(image)
    stream = io.BytesIO(saved(image, "PNG"))
    open_image(stream)
    assert image.mode == "RGBA" and image.tobytes() == before and not stream.closed


# -- bad pictures ----------------------------------------------------------------------------------


def fails(source: object, *words: str, name: str | None = None) -> None:
    with pytest.raises(ImageError) as caught:
        open_image(source, name=name)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    fails(tmp_path / "none.jpg", "no such picture", "none.jpg")
    fails(tmp_path, "is a folder")
    (tmp_path / "empty.jpg").touch()
    fails(tmp_path / "empty.jpg", "empty.jpg", "empty (0 bytes)")
    fails(b"", "empty", "standard input", name="standard input")
    fails("bad\0name.jpg", "can't be read")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(saved(photo(), "PNG"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    fails(path, "secret.png", "Permission denied")


def test_text_named_jpg(tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_text("Dear Sir or Madam,\n" * 20)
    fails(path, "letter.jpg", "not a picture galago can read")


def test_heic_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    data = HEIC.read_bytes()
    fails(data, "HEIC", "save it as JPEG", "to install the extra heic: ", "'pi-heif>=")
    with pytest.raises(MissingExtraError):
        open_image(data)


def test_heic_opens_with_its_plug_in() -> None:
    pytest.importorskip("pi_heif")
    image = open_image(HEIC)
    assert image.size == (60, 40)
    assert image.getpixel((5, 5))[0] > 240 and image.getpixel((5, 35))[0] < 15
    fails(HEIC.read_bytes()[:40], "damaged")


@cache
def whole(kind: str) -> bytes:
    return saved(photo(400, 300), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9])
def test_cut_short(kind: str, keep: float) -> None:
    data = whole(kind)
    fails(data[: int(len(data) * keep)], "cut short" if kind != "TIFF" or keep > 0.1 else "")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damaged_bytes_never_escape_as_another_error(kind: str) -> None:
    data = bytearray(saved(photo(60, 40), kind))
    rng = np.random.default_rng(3)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 12):
            broken[place] = rng.integers(0, 256)
        try:
            assert open_image(bytes(broken)).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("edge", [10_001, 14_000, 60_000])
def test_decompression_bomb(edge: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fails(png_header(edge, edge), "larger than 100 megapixels")


def test_other_types_and_arrays() -> None:
    fails(42, "int", "give a path")
    fails(io.StringIO("text"), "binary mode")
    fails(np.zeros((4, 4, 3), np.float32), "float32", "uint8")
    fails(np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)")
    fails(np.zeros((0, 4, 3), np.uint8), "no pixels")


# -- odd but good pictures -------------------------------------------------------------------------


def test_cmyk_and_grey() -> None:
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert open_image(saved(cmyk, "TIFF")).getpixel((3, 3)) == RED
    red, green, blue = open_image(saved(cmyk, "JPEG")).getpixel((3, 3))
    assert red > 240 and green < 15 and blue < 15
    assert open_image(saved(Image.new("L", (8, 8), 77), "PNG")).getpixel((0, 0)) == (77, 77, 77)
    assert open_image(saved(Image.new("1", (8, 8), 1), "PNG")).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_is_scaled_not_clipped(kind: str) -> None:
    deep = np.array([[0, 128, 257, 32896, 65407, 65535]], np.uint16)
    opened = np.asarray(open_image(saved(Image.fromarray(deep), kind)))[0, :, 0]
    assert opened.tolist() == [0, 0, 1, 128, 255, 255]  # v * 255 / 65535, rounded


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_tiff(top: float) -> None:
    values = np.array([[0, 0.5, 1.0, np.nan]], np.float32) * np.float32(top)
    opened = np.asarray(open_image(saved(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert opened.tolist() == [0, 128, 255, 0]


def test_transparency_is_white() -> None:
    clear_red = Image.new("RGBA", (8, 8), (*RED, 0))
    assert open_image(saved(clear_red, "PNG")).getpixel((2, 2)) == WHITE
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert open_image(saved(half, "WEBP", lossless=True)).getpixel((2, 2)) == (127, 127, 127)
    grey = Image.new("LA", (8, 8), (0, 0))
    assert open_image(saved(grey, "PNG")).getpixel((2, 2)) == WHITE


def test_palette_with_transparency() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([*RED, *BLUE])
    palette.putpixel((4, 4), 1)
    opened = open_image(saved(palette, "PNG", transparency=0))
    assert opened.getpixel((0, 0)) == WHITE and opened.getpixel((4, 4)) == BLUE
    soft = open_image(saved(palette, "PNG", transparency=bytes([0, 255])))
    assert soft.getpixel((0, 0)) == WHITE and soft.getpixel((4, 4)) == BLUE


def test_rgb_with_a_transparent_colour() -> None:
    image = Image.new("RGB", (8, 8), RED)
    image.putpixel((1, 1), BLUE)
    opened = open_image(saved(image, "PNG", transparency=RED))
    assert opened.getpixel((0, 0)) == WHITE and opened.getpixel((1, 1)) == BLUE


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animation_gives_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE, WHITE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert open_image(data).getpixel((4, 4)) == RED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turned(kind: str, turn: int) -> None:
    upright = Image.new("RGB", (16, 8), WHITE)
    ImageDraw.Draw(upright).rectangle((0, 0, 5, 5), fill=RED)  # red in the top left corner
    transpose = Image.Transpose
    undo = {1: None, 2: transpose.FLIP_LEFT_RIGHT, 3: transpose.ROTATE_180,
            4: transpose.FLIP_TOP_BOTTOM, 5: transpose.TRANSPOSE, 6: transpose.ROTATE_90,
            7: transpose.TRANSVERSE, 8: transpose.ROTATE_270}[turn]  # fmt: skip
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = turn
    opened = open_image(saved(stored, kind, exif=exif))
    assert opened.size == (16, 8)
    red, green, _ = opened.getpixel((2, 2))
    assert red > 200 and green < 80


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = saved(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert open_image(data).size == (120, 80)


def test_a_pipe_is_read(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    pipe, data = tmp_path / "pipe", saved(photo(), "PNG")
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert open_image(pipe).size == (120, 80)
    writer.join()


def test_thumbnails_are_small_upright_jpegs() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(photo(1200, 800), "JPEG", exif=exif)
    small = Image.open(io.BytesIO(thumbnail(turned, 100)))
    assert small.format == "JPEG" and small.size == (67, 100)
    mine = photo(60, 40)
    assert Image.open(io.BytesIO(thumbnail(mine, 20))).size == (20, 13) and mine.size == (60, 40)


def test_a_pillow_without_one_of_the_kinds_opens_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "_FORMATS", ["LACKING", *formats._FORMATS])
    formats._formats.cache_clear()
    try:
        stream = io.BytesIO()
        Image.new("RGB", (4, 4)).save(stream, "WEBP")
        assert open_image(stream.getvalue()).size == (4, 4)
    finally:
        formats._formats.cache_clear()


def test_no_picture_starts_a_program() -> None:
    for data in (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xd7\xcd\xc6\x9a" + b"\0" * 60,
    ):
        with pytest.raises(ImageError, match="not a picture galago can read"):
            open_image(data)


def test_threads_leave_the_filters_of_warnings_as_they_were() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (90, 90), "red").save(stream, "PNG")
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [open_image(stream.getvalue()) for _ in range(40)])
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


@pytest.mark.parametrize("side", [0, -3])
@pytest.mark.parametrize(
    "made",
    [thumbnail, load_grey, lambda data, side: load_square(data, ImageSpec(side=side))],
)
def test_a_side_without_pixels(made: Callable[[bytes, int], object], side: int) -> None:
    with pytest.raises(OptionError, match=f"side {side}: give 1 or more"):
        made(saved(photo(), "PNG"), side)
