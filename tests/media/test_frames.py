"""Frames: their thumbnails in grey, and their times for people."""

from __future__ import annotations

import numpy as np
from PIL import Image

from galago.media.frames import SIDE, clock, grey, upright


def test_a_thumbnail_is_the_mean_of_its_cells() -> None:
    values = np.zeros((SIDE * 2, SIDE * 3), np.uint8)
    values[:2, :3] = 120
    small = grey(values)
    assert small.shape == (SIDE, SIDE) and small.dtype == np.float32
    assert small[0, 0] == 120 and small.sum() == 120
    assert (grey(Image.fromarray(values)) == small).all()
    assert grey(Image.new("RGBA", (5, 9), (255, 255, 255, 255))).mean() == 255


def test_times_for_people() -> None:
    assert [clock(s) for s in (0, 5.04, 59.96, 75.5, 3723.4)] == [
        "0:00.0",
        "0:05.0",
        "1:00.0",
        "1:15.5",
        "1:02:03.4",
    ]


def test_a_matrix_of_another_scale_angle_or_none() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)

    def shown(*numbers: float) -> np.ndarray:
        return np.asarray(upright(image, np.array(numbers).reshape(2, 2) * 0x10000))

    assert (shown(-2, 0, 0, 2) == np.fliplr(pixels)).all()
    assert (shown(-1, 0.001, 0, 1) == np.fliplr(pixels)).all(), "rounded"
    for nothing in ((0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 0, 0)):
        assert (shown(*nothing) == pixels).all()
    half = np.sqrt(0.5)
    assert shown(half, half, -half, half).shape[0] > 30, "by 45 degrees"
