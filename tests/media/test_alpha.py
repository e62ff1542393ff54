"""Transparency: what there is to be seen is seen."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.media.images import open_image
from tests.helpers.pictures import RED, WHITE, photo, saved


def colours(image: Image.Image) -> int:
    return len(np.unique(np.asarray(image).reshape(-1, 3), axis=0))


@pytest.mark.parametrize("kind", ["BMP", "TGA", "PNG", "WEBP", "TIFF"])
def test_an_alpha_of_0_everywhere_is_none(kind: str) -> None:
    image = photo().convert("RGBA")
    image.putalpha(0)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert open_image(saved(image, kind, **options)).tobytes() == photo().tobytes()


def test_a_bitmap_of_one_colour() -> None:
    """32 bits a pixel, as Windows writes it: the fourth byte is nothing."""
    data = bytearray(saved(Image.new("RGBA", (8, 8), (*RED, 0)), "BMP"))
    assert open_image(bytes(data)).getpixel((4, 4)) == RED


def test_nothing_at_all_is_white() -> None:
    assert open_image(saved(Image.new("RGBA", (8, 8)), "PNG")).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("level", [255, 250, 225])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_white_logo_is_seen(mode: str, level: int) -> None:
    logo = Image.new("RGBA", (80, 40), (level, level, level, 0))
    ImageDraw.Draw(logo).text((9, 9), "galago", (level, level, level, 255))
    image = logo.quantize(8) if mode == "P" else logo.convert(mode)
    opened = open_image(saved(image, "PNG"))
    grey = np.asarray(opened.convert("L"))
    assert grey.max() >= 200 and grey.min() == 0


def test_a_black_logo_stands_on_white() -> None:
    logo = Image.new("RGBA", (80, 40))
    ImageDraw.Draw(logo).text((9, 9), "galago", (0, 0, 0, 255))
    assert open_image(saved(logo, "PNG")).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_whose_pixels_differ_never_becomes_one_colour(seed: int) -> None:
    dice = np.random.default_rng(seed)
    palette = dice.choice([0, 1, 127, 128, 254, 255], (3, 4))
    values = palette[dice.integers(0, 3, (9, 9))].astype(np.uint8)
    visible = values[values[..., 3] > 1] if values[..., 3].any() else values
    if len(np.unique(visible.reshape(-1, 4), axis=0)) < 2:
        return
    for kind in ("PNG", "TIFF", "BMP"):
        assert colours(open_image(saved(Image.fromarray(values), kind))) > 1


def test_a_large_one_is_put_together_in_strips() -> None:
    image = photo(1300, 1000).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    below = Image.new("RGBA", image.size, "white")
    whole = Image.alpha_composite(below, image).convert("RGB")
    assert open_image(saved(image, "PNG", compress_level=1)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("level", [1, 15])
def test_an_alpha_that_is_nearly_0_everywhere_is_none(kind: str, level: int) -> None:
    for alpha in (Image.new("L", (120, 80), level), Image.new("L", (120, 80))):
        alpha.putpixel((0, 0), level)
        image = photo().convert("RGBA")
        image.putalpha(alpha)
        assert open_image(saved(image, kind)).tobytes() == photo().tobytes()


def test_a_faint_drawing_is_left_as_it_looks() -> None:
    """A black one whose alpha alone says anything: without it all would be black."""
    alpha = Image.new("L", (80, 40))
    ImageDraw.Draw(alpha).rectangle((20, 10, 60, 30), fill=12)
    image = Image.new("RGBA", (80, 40))
    image.putalpha(alpha)
    opened = open_image(saved(image, "PNG"))
    assert opened.getpixel((0, 0)) == WHITE and opened.getpixel((40, 20)) == (243, 243, 243)
