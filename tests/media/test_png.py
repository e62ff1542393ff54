"""PNGs whose texts and profiles are too long for Pillow: the pixels are good."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from galago.errors import ImageError
from galago.media.images import open_image
from tests.helpers.pictures import photo, png_of, saved

VALUES = np.asarray(photo())
LONG = b"a" * 5_000_000
TEXTS = {
    "zTXt": (b"zTXt", b"note\0\0" + zlib.compress(LONG)),
    "iTXt": (b"iTXt", b"note\0\x01\0en\0note\0" + zlib.compress(LONG)),
    "iCCP": (b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
}


@pytest.mark.parametrize("text", TEXTS)
def test_long_texts_and_profiles_are_passed_over(text: str) -> None:
    assert open_image(png_of(VALUES, [TEXTS[text]])).tobytes() == photo().tobytes()


@pytest.mark.parametrize("text", ["zTXt", "iTXt"])
def test_behind_the_pixels_too(text: str) -> None:
    data = png_of(VALUES, [TEXTS[text]])
    start = 8 + 25
    end = start + 12 + len(TEXTS[text][1])
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert open_image(moved).tobytes() == photo().tobytes()


def test_very_many_texts() -> None:
    texts = [(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 1_000_000))] * 70
    assert open_image(png_of(VALUES, texts)).tobytes() == photo().tobytes()


def test_how_it_is_turned_is_kept() -> None:
    exif = photo().getexif()
    exif[0x0112] = 6
    body = exif.tobytes()
    raw = b"\nexif\n%8d\n" % len(body) + body.hex().encode() + b"\n"
    turned = (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))
    assert open_image(png_of(VALUES, [turned])).size == (80, 120)
    assert open_image(png_of(VALUES, [TEXTS["zTXt"], turned])).size == (80, 120)


def test_damaged_pixels_are_still_damaged() -> None:
    data = png_of(VALUES, [TEXTS["zTXt"]])
    for cut in (len(data) - 2000, len(data) // 2, 2000):
        with pytest.raises(ImageError, match="damaged or cut short"):
            open_image(data[:cut])
    with pytest.raises(ImageError, match="damaged or cut short"):
        open_image(saved(photo(), "PNG")[:-3000])
