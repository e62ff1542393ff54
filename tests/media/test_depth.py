"""Deep numbers to 8 bits: white is what the file says, else what holds the brightest pixel."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError
from galago.media.images import open_image
from tests.helpers.pictures import png_of, saved

RAMP = np.linspace(0, 1, 4096).reshape(64, 64)


def ramp(bits: int, kind: Any = np.uint16) -> np.ndarray:
    """From black to white, of so many bits."""
    return np.rint(RAMP * (2**bits - 1)).astype(kind)


def seen(data: Any) -> np.ndarray:
    return np.asarray(open_image(data)).astype(int)


def like_the_ramp(data: Any) -> bool:
    return bool(np.abs(seen(data) - (RAMP * 255)[..., None]).max() <= 1)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_fewer_bits_in_16(kind: str, bits: int) -> None:
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    assert like_the_ramp(saved(Image.fromarray(ramp(bits)), kind, **options))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_pictures_in_memory(bits: int) -> None:
    assert like_the_ramp(Image.fromarray(ramp(bits)))
    assert like_the_ramp(Image.fromarray(ramp(bits, np.int32)))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_fewer_bits_in_16(bits: int, alpha: bool) -> None:
    """Of which Pillow keeps the high bytes."""
    values = np.repeat(ramp(bits)[..., None], 4 if alpha else 3, -1)
    if alpha:
        values[..., 3] = 65535
    assert like_the_ramp(png_of(values))


def test_a_file_that_says_its_depth_is_believed() -> None:
    dark = np.rint(RAMP * 2000).astype(np.uint16)
    for bits, white in ((16, 65535), (12, 4095), (14, 16383), (None, 4095)):
        chunks = [(b"sBIT", bytes([bits]))] if bits else []
        found = seen(png_of(dark, chunks))[..., 0]
        assert np.abs(found - dark * (255 / white)).max() <= 1, bits
    bright = ramp(16)  # stretched, as the PNG specification wants it
    assert like_the_ramp(png_of(bright, [(b"sBIT", b"\x0c")]))


def test_max_sample_value_of_a_tiff() -> None:
    dark = np.rint(RAMP * 2000).astype(np.uint16)
    data = saved(Image.fromarray(dark), "TIFF", tiffinfo={281: 65535})
    assert seen(data).max() == 8


@pytest.mark.parametrize("white", [255, 1000, 4095, 65535])
def test_a_pgm_is_stretched_to_what_it_says(white: int) -> None:
    values = np.rint(RAMP * white).astype(">u2" if white > 255 else np.uint8)
    assert like_the_ramp(b"P5\n64 64\n%d\n" % white + values.tobytes())


@pytest.mark.parametrize("top", [1.0, 255.0, 4095.0, 65535.0])
def test_floats(top: float) -> None:
    assert like_the_ramp(saved(Image.fromarray((RAMP * top).astype(np.float32)), "TIFF"))


def test_highlights_of_floats_do_not_blacken_the_rest() -> None:
    values = RAMP.astype(np.float32)
    values[0, :3] = 40, np.inf, np.nan
    found = seen(saved(Image.fromarray(values), "TIFF"))[..., 0]
    assert found[0, :3].tolist() == [255, 255, 0]
    assert np.abs(found - RAMP * 255)[1:].max() <= 1


def test_numbers_below_zero_have_no_brightness() -> None:
    for values in (ramp(12, np.int32) - 2000, (RAMP * 2 - 1).astype(np.float32)):
        with pytest.raises(ImageError, match="numbers below 0"):
            open_image(Image.fromarray(values))
    ripples = (RAMP * 1.02 - 0.01).astype(np.float32)
    assert seen(Image.fromarray(ripples)).min() == 0


def test_a_transparent_grey_of_16_bits() -> None:
    values = ramp(16)
    data = png_of(values, [(b"tRNS", struct.pack(">H", 0))])
    assert seen(data)[0, 0].tolist() == [255, 255, 255] and seen(data)[0, 9, 0] < 5


def test_a_transparent_colour_of_16_bits() -> None:
    values = np.zeros((8, 8, 3), np.uint16)
    values[:4] = 0x1234, 0x5678, 0x9ABC
    data = png_of(values, [(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))])
    assert seen(data)[0, 0].tolist() == [255, 255, 255] and seen(data)[7, 7].tolist() == [0, 0, 0]


def test_a_large_one_is_taken_in_strips() -> None:
    values = np.zeros((1200, 1000), np.uint16)
    values[-1, -1] = 4095
    found = seen(png_of(values))
    assert found[-1, -1, 0] == 255 and found.sum() == 255 * 3


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_grey_with_alpha_is_as_bright_as_grey(bits: int) -> None:
    grey = np.tile(np.linspace(0, (1 << bits) - 1, 64).astype(np.uint16), (8, 1))
    both = np.stack([grey, np.full_like(grey, 65535)], -1)
    assert np.abs(seen(png_of(both)) - seen(png_of(grey))).max() <= (bits == 16)
    clear = both.copy()
    clear[:, :32, 1] = 0
    opened = seen(png_of(clear))
    assert (opened[:, :32] == 255).all()
    assert np.abs(opened - seen(png_of(grey)))[:, 32:].max() <= (bits == 16)


def test_what_the_file_says_of_grey_with_alpha() -> None:
    """Of the grey; the alpha may have other bits."""
    both = np.full((8, 8, 2), 65535, np.uint16)
    both[..., 0] = 1023
    opened = open_image(png_of(both, [(b"sBIT", bytes([12, 16]))]))
    assert opened.getpixel((4, 4)) == (64, 64, 64)
