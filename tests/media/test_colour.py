"""Colour profiles: applied where they aren't sRGB's, and nothing moved where they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from galago.media.images import load_pixels, open_image, thumbnail
from galago.specs import ImageSpec
from tests.helpers.pictures import opened_near, photo, saved
from tests.helpers.profiles import ADOBE, P3, REC709, grey_profile, profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def expected(values: np.ndarray, primaries: tuple[tuple[float, float], ...], gamma: float):
    """sRGB's numbers for colours of other primaries, by the book (IEC 61966-2-1)."""

    def matrix(of: tuple[tuple[float, float], ...]) -> np.ndarray:
        columns = np.stack([np.array([x / y, 1, (1 - x - y) / y]) for x, y in of], -1)
        x, y = 0.3127, 0.3290
        return columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))

    linear = (values / 255.0) ** gamma
    srgb = np.clip(linear @ (np.linalg.inv(matrix(REC709)) @ matrix(primaries)).T, 0, 1)
    coded = np.where(srgb <= 0.0031308, srgb * 12.92, 1.055 * srgb ** (1 / 2.4) - 0.055)
    return coded * 255


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("primaries", "gamma"), [(P3, 2.2), (ADOBE, 2.2), (REC709, 1.0), (REC709, 1.8)]
)
def test_colours_are_those_of_the_profile(
    primaries: tuple[tuple[float, float], ...], gamma: float, kind: str
) -> None:
    for colour in ((200, 60, 40), (60, 180, 90), (40, 60, 200), (128, 128, 128)):
        options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
        options = options if kind in ("WEBP", "JPEG") else {}
        stored = saved(
            Image.new("RGB", (16, 16), colour),
            kind,
            icc_profile=profile(primaries, gamma),
            **options,
        )
        wanted = expected(np.array(colour), primaries, gamma)
        found = np.asarray(open_image(stored))[8, 8]
        assert np.abs(found - wanted).max() <= 3.5, colour
        plain = np.asarray(open_image(stored, icc=False))[8, 8]
        assert np.abs(plain.astype(int) - colour).max() <= 2


def test_nothing_moves_where_the_profile_is_srgb_s() -> None:
    image = photo()
    for data in (SRGB, None):
        stored = saved(image, "PNG", icc_profile=data)
        assert open_image(stored).tobytes() == image.tobytes()


def test_broken_and_unfit_profiles_are_ignored() -> None:
    image = photo()
    good = profile(P3, 2.2)
    for bad in (b"x", b"\0" * 500, good[:200], good[:300] + b"\xff" * 200, grey_profile(1.0)):
        assert open_image(saved(image, "PNG", icc_profile=bad)).tobytes() == image.tobytes()
    assert open_image(saved(image, "TIFF", icc_profile=good + bytes(5 << 20))).size == image.size


def test_grey_palettes_and_transparency() -> None:
    grey = saved(Image.new("L", (8, 8), 100), "PNG", icc_profile=grey_profile(1.0))
    bright = round(float(expected(np.array([100] * 3), REC709, 1.0)[0]))
    assert np.abs(np.asarray(open_image(grey)).astype(int) - bright).max() <= 1
    palette = Image.new("P", (8, 8))
    palette.putpalette([200, 60, 40])
    wanted = expected(np.array((200, 60, 40)), P3, 2.2)
    found = np.asarray(open_image(saved(palette, "PNG", icc_profile=profile(P3, 2.2))))[0, 0]
    assert np.abs(found - wanted).max() <= 3.5
    clear = Image.new("RGBA", (8, 8), (200, 60, 40, 255))
    clear.putpixel((0, 0), (0, 0, 0, 0))
    found = np.asarray(open_image(saved(clear, "PNG", icc_profile=profile(P3, 2.2))))
    assert np.abs(found[4, 4] - wanted).max() <= 3.5 and found[0, 0].tolist() == [255] * 3
    both = Image.new("LA", (8, 8), (100, 255))
    found = np.asarray(open_image(saved(both, "PNG", icc_profile=grey_profile(1.0))))
    assert np.abs(found.astype(int) - bright).max() <= 1


def test_lab_is_a_colour_too() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(photo(), srgb, lab, outputMode="LAB")
    assert image is not None
    found = np.asarray(open_image(saved(image, "TIFF"))).astype(int)
    assert np.abs(found - np.asarray(photo())).mean() < 3


def test_every_way_of_opening_applies_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = saved(photo(400, 300), "PNG", icc_profile=profile(P3, 2.2))
    spec = ImageSpec(side=64)
    values = load_pixels(stored, spec)[0]
    np.testing.assert_array_equal(load_pixels(opened_near(stored, 64), spec)[0], values)
    np.testing.assert_array_equal(load_pixels(Image.open(io.BytesIO(stored)), spec)[0], values)
    plain = load_pixels(stored, spec, icc=False)[0]
    assert np.abs(values - plain).max() > 0.05
    monkeypatch.setenv("GALAGO_ICC", "0")
    np.testing.assert_array_equal(load_pixels(stored, spec)[0], plain)


def test_thumbnails_keep_colours() -> None:
    stored = saved(Image.new("RGB", (64, 64), (200, 60, 40)), "PNG", icc_profile=profile(P3, 2.2))
    small = Image.open(io.BytesIO(thumbnail(stored, 32)))
    assert "icc_profile" not in small.info
    wanted = expected(np.array((200, 60, 40)), P3, 2.2)
    assert np.abs(np.asarray(small)[16, 16] - wanted).max() <= 5


def test_a_caller_s_picture_is_left_alone() -> None:
    mine = Image.open(io.BytesIO(saved(photo(), "PNG", icc_profile=profile(P3, 2.2))))
    before = mine.tobytes()
    open_image(mine)
    assert mine.tobytes() == before and "icc_profile" in mine.info


def test_a_clear_grey_stays_clear_under_a_profile() -> None:
    image = Image.new("L", (32, 32))
    image.paste(90, (8, 8, 24, 24))
    plain = open_image(saved(image, "PNG", icc_profile=grey_profile(1.8)))
    clear = open_image(saved(image, "PNG", icc_profile=grey_profile(1.8), transparency=0))
    assert plain.getpixel((0, 0)) == (0, 0, 0) and clear.getpixel((0, 0)) == (255, 255, 255)
    assert clear.getpixel((16, 16)) == plain.getpixel((16, 16)) != (90, 90, 90)
