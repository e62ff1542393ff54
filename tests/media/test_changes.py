"""What counts as the same picture, and for how long."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.errors import OptionError
from galago.media.changes import THRESHOLD, ChangeDetector, difference
from galago.media.frames import SIDE, grey
from tests.helpers.videos import view

BIG = (640, 480)


def shot(seed: int = 1) -> np.ndarray:
    """A scene as numbers: half contrast, so that exposure has room on both sides."""
    return 64 + view(seed, BIG).astype(np.float32) / 2


def thumb(values: np.ndarray) -> np.ndarray:
    return grey(np.clip(values, 0, 255).astype(np.uint8))


def noisy(values: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    return values + np.random.default_rng(seed).normal(0, sigma, values.shape)


@pytest.mark.parametrize("sigma", [2, 8, 16])
def test_noise_is_no_change(sigma: float) -> None:
    one, two = (thumb(noisy(shot(), sigma, seed)) for seed in (1, 2))
    assert difference(one, two) < THRESHOLD


def test_exposure_that_drifts_is_no_change_but_the_light_going_out_is() -> None:
    kept = thumb(shot())
    for gain, offset in ((1.15, 0.0), (0.85, 0.0), (1.0, 20.0), (0.9, -15.0)):
        assert difference(kept, thumb(shot() * gain + offset)) < THRESHOLD
    for gain, offset in ((0.3, 0.0), (1.0, 70.0), (0.0, 0.0)):
        assert difference(kept, thumb(shot() * gain + offset)) > THRESHOLD


def test_a_cut_is_a_change() -> None:
    assert all(difference(thumb(shot(0)), thumb(shot(seed))) > 20 for seed in range(1, 9))


def test_a_small_thing_that_moves_is_a_change() -> None:
    """A twentieth of the side, 40 grey levels from what is behind it."""
    changed = shot()
    changed[200:224, 300:324] += 40
    assert difference(thumb(shot()), thumb(changed)) > 2 * THRESHOLD


def test_another_word_is_a_change() -> None:
    pages = []
    for word in ("Milk, eggs", "Milk, oats"):
        page = Image.new("L", BIG, 230)
        ImageDraw.Draw(page).text((100, 200), word, fill=30, font_size=20)
        pages.append(grey(page))
    assert difference(*pages) > THRESHOLD


def test_a_slow_pan_does_not_stay_unchanged() -> None:
    """Each step is too small to see; the way from the frame that was described is not."""
    wide = 64 + view(5, (1600, 480)).astype(np.float32) / 2
    wide = np.stack([np.convolve(row, np.ones(80) / 80, "same") for row in wide.mean(2)])
    frames = [thumb(wide[:, left : left + 640]) for left in range(100, 400)]
    steps = [difference(a, b) for a, b in itertools.pairwise(frames)]
    assert max(steps) < THRESHOLD
    still = ChangeDetector(max_age=1e9)
    still.keep(frames[0], 0)
    described = 1
    for at, frame in enumerate(frames):
        if not still.unchanged(frame, at):
            still.keep(frame, at)
            described += 1
    assert 5 < described < 300


def test_staleness_is_bounded_and_can_be_turned_off() -> None:
    frame = thumb(shot())
    still = ChangeDetector(max_age=5)
    assert not still.unchanged(frame, 0), "nothing has been described yet"
    still.keep(frame, 10)
    assert still.unchanged(frame, 10) and still.unchanged(frame, 14.9)
    assert not still.unchanged(frame, 15) and not still.unchanged(frame, 100)
    off = ChangeDetector(max_age=0)
    off.keep(frame, 0)
    assert not off.unchanged(frame, 0)
    for wrong in ({"max_age": -1.0}, {"threshold": -1.0}, {"max_age": float("nan")}):
        with pytest.raises(OptionError, match="negative"):
            ChangeDetector(**wrong)


def test_a_picture_of_one_colour_divides_by_nothing() -> None:
    black, white = (np.full((SIDE, SIDE), value, np.float32) for value in (0, 255))
    assert difference(black, black) == 0
    assert difference(black, white) > THRESHOLD
