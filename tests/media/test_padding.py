"""Tall pictures on a square: to the same bits as the square itself, in a moment."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from galago.media.preprocess import fit_square
from galago.specs import ImageSpec
from tests.helpers.pictures import photo


@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (0.48, 0.45, 0.4)])
@pytest.mark.parametrize(
    "size",
    [
        (1, 1501),
        (2, 90),
        (3, 2000),
        (7, 1000),
        (20, 199),
        (40, 1999),
        (61, 500),
        (99, 2048),
        (1501, 1),
        (2048, 99),
    ],
)
def test_equals_padding_the_square(
    size: tuple[int, int], mean: tuple[float, float, float], resample: str
) -> None:
    noise = Image.merge("RGB", [Image.effect_noise(size, 120) for _ in range(3)])
    image = Image.blend(noise, photo(*size), 0.3)
    fill = tuple(int(value * 255) for value in mean)
    longest = max(size)
    for side in (256, 448):
        square = Image.new("RGB", (longest, longest), fill)
        square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        plain = square.resize((side, side), getattr(Image.Resampling, resample.upper()))
        spec = ImageSpec(side=side, mean=mean, resample=resample)  # type: ignore[arg-type]
        assert fit_square(image, spec).tobytes() == plain.tobytes(), side


def test_the_cost_grows_with_the_picture_not_with_the_square() -> None:
    for size in ((3, 60_000), (60_000, 3)):
        started = time.process_time()
        fit_square(Image.new("RGB", size, "red"), ImageSpec(side=1024))
        assert time.process_time() - started < 1.5  # 30 s, were it done on the square
