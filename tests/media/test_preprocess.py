"""Pictures to pixels: fitted as the plain way would, whatever their size and source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.media.images import load_pixels, open_image
from galago.media.preprocess import fit_square, preprocess
from galago.specs import ImageSpec
from tests.helpers.pictures import opened_near, photo, saved


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (20000, 3), (3, 6000), (2, 700)])
def test_extreme_sizes(size: tuple[int, int], fit: str) -> None:
    image = open_image(saved(Image.new("RGB", size, (10, 200, 30)), "PNG"))
    values = preprocess(image, ImageSpec(side=256, fit=fit))  # type: ignore[arg-type]
    assert values.shape == (3, 256, 256) and values.dtype == np.float32
    if fit == "crop" or size == (1, 1):  # a 3-pixel strip on a 20000-pixel square is padding
        assert np.allclose(values[:, 128, 128], np.array([10, 200, 30]) / 255, atol=0.01)


def plain_pad(image: Image.Image, side: int, fill: tuple[int, int, int]) -> Image.Image:
    longest = max(image.size)
    square = Image.new("RGB", (longest, longest), fill)
    square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
    return square.resize((side, side), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(120, 80), (81, 300), (1500, 901), (700, 1301), (90, 90), (2, 9)])
@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (0.48, 0.45, 0.4)])
def test_padding_in_strips_equals_padding_the_square(
    size: tuple[int, int], mean: tuple[float, float, float]
) -> None:
    image = photo(*size)
    fill = tuple(int(value * 255) for value in mean)
    ours = fit_square(image, ImageSpec(side=256, mean=mean))
    assert ours.tobytes() == plain_pad(image, 256, fill).tobytes()  # type: ignore[arg-type]


def test_the_padding_is_a_colour_whatever_the_mean() -> None:
    white = Image.new("RGB", (80, 40), "white")
    corner = fit_square(white, ImageSpec(side=64, mean=(-0.5, 0.5, 1.5))).getpixel((0, 0))
    assert corner == (0, 127, 255)


@pytest.mark.parametrize("size", [(640, 100), (100, 640)])
def test_crop_is_the_middle_of_the_whole(size: tuple[int, int]) -> None:
    image = photo(*size)
    wide = size[0] > size[1]
    start = (1638 - 256) // 2
    box = (start, 0, start + 256, 256) if wide else (0, start, 256, start + 256)
    whole = image.resize((1638, 256) if wide else (256, 1638), Image.Resampling.BICUBIC)
    ours = fit_square(image, ImageSpec(side=256, fit="crop"))
    assert ours.tobytes() == whole.crop(box).tobytes()


@pytest.mark.parametrize("size", [(640, 9), (9, 640)])
def test_very_long_crop_is_nearly_the_middle_of_the_whole(size: tuple[int, int]) -> None:
    image = photo(*size)
    long_side = int(256 * 640 / 9)
    wide = size[0] > size[1]
    start = (long_side - 256) // 2
    box = (start, 0, start + 256, 256) if wide else (0, start, 256, start + 256)
    whole = image.resize((long_side, 256) if wide else (256, long_side), Image.Resampling.BICUBIC)
    ours = np.asarray(fit_square(image, ImageSpec(side=256, fit="crop"))).astype(int)
    assert np.abs(ours - np.asarray(whole.crop(box)).astype(int)).mean() < 1


def test_mean_and_std() -> None:
    spec = ImageSpec(side=256, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    values = preprocess(Image.new("RGB", (20, 20), (255, 0, 51)), spec)
    assert np.allclose(values[:, 7, 7], [1.0, -1.0, 0.2], atol=1e-6)
    assert values.flags.c_contiguous


def test_a_large_jpeg_may_be_decoded_smaller_within_a_step() -> None:
    image, spec = photo(4000, 2400), ImageSpec(side=256)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(image, "JPEG", quality=92, exif=exif)
    quick, size = load_pixels(data, spec)
    full = open_image(data)
    assert size == full.size == (2400, 4000)
    gap = np.abs(quick - preprocess(full, spec)) * 255
    assert 0 < gap.max() < 3.5 and (gap < 1.5).mean() > 0.999
    exact, _ = load_pixels(data, ImageSpec(side=640))
    assert np.array_equal(exact, preprocess(full, ImageSpec(side=640)))


def test_a_picture_opened_ahead_gives_the_same_pixels(tmp_path: Path) -> None:
    """Reduced while it is decoded, turned as its EXIF says, and then taken like any other."""
    spec, path = ImageSpec(side=64), tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((1200, 900), 90).convert("RGB").save(path, exif=exif)
    ahead = opened_near(path, 64)
    assert max(ahead.size) < 1200 and ahead.width < ahead.height
    np.testing.assert_array_equal(load_pixels(ahead, spec)[0], load_pixels(path, spec)[0])


def test_pixels_and_size_of_every_source() -> None:
    image, spec = photo(), ImageSpec(side=256)
    for source in (image, np.asarray(image), saved(image, "PNG")):
        values, size = load_pixels(source, spec)
        assert size == (120, 80) and np.array_equal(values, preprocess(image, spec))


def test_a_coarser_draft_stays_near() -> None:
    data = saved(photo(2400, 1800), "JPEG", quality=90)
    spec = ImageSpec(side=256, fit="crop")
    fine, coarse = (load_pixels(data, spec, draft=n)[0] for n in (4, 2))
    assert 0 < np.abs(fine - coarse).mean() < 2 / 255
