"""The side that is enough: small and blurred pictures need less, sharp ones all of it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from galago.media.detail import smallest_side
from galago.specs import ImageSpec

SPEC = ImageSpec(1024)


def side(image: Image.Image, spec: ImageSpec = SPEC) -> int:
    return smallest_side(image, image.size, spec).side


def text(pixels: int, *, blur: float = 0.0) -> Image.Image:
    page = Image.new("RGB", (1024, 1024), "white")
    font = ImageFont.load_default(pixels)
    for row in range(8):
        line = (60, 60 + 2 * row * pixels)
        ImageDraw.Draw(page).text(line, "milk and seven eggs", (20, 20, 20), font)
    return page.filter(ImageFilter.GaussianBlur(blur)) if blur else page


@pytest.mark.parametrize("pixels", [10, 20, 40])
def test_letters_want_all(pixels: int) -> None:
    assert side(text(pixels)) == 1024
    assert side(text(pixels, blur=3)) == 512


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((300, 200), 512), ((512, 90), 512), ((640, 480), 640), ((90, 700), 768), ((900, 900), 1024)],
)
def test_a_small_picture_is_not_enlarged_for_nothing(size: tuple[int, int], wanted: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    assert side(Image.fromarray(noise)) == wanted


def test_the_edge_that_counts_is_the_one_that_is_fitted() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 4000, 3), dtype=np.uint8)
    assert side(Image.fromarray(noise)) == 1024
    assert side(Image.fromarray(noise), ImageSpec(1024, fit="crop")) == 512


def test_one_sharp_corner_of_a_smooth_picture_counts() -> None:
    page = Image.new("RGB", (3000, 3000), "grey")
    assert side(page) == 512
    ImageDraw.Draw(page).text((100, 100), "No. 7", (0, 0, 0), ImageFont.load_default(40))
    assert side(page) == 1024


def test_no_side_below_the_least_or_above_the_model_s() -> None:
    blank = Image.new("RGB", (20, 20))
    assert side(blank, ImageSpec(384)) == 384
    assert side(blank, ImageSpec(512)) == 512


def test_the_size_is_the_picture_s_own_however_it_was_decoded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    assert smallest_side(Image.fromarray(noise), (4000, 4000), SPEC).side == 1024
