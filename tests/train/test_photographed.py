"""Notes as a camera sees them: the same for a seed, letters where they are said to be."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from galago.train.nano.data import photographed, render

SCENE = Image.new("RGB", (200, 120), (90, 60, 40))


def drawn(font: str, seed: int, apart: bool = False) -> render.Rendered:
    rng = random.Random(seed)
    return photographed.photographed(["Milk 2", "eggs"], font, rng, 256, SCENE, apart=apart)


def test_same_seed_same_photograph(font: str) -> None:
    one, two, other = (drawn(font, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.picture, two.picture)
    assert not np.array_equal(one.picture, other.picture)
    assert one.picture.shape == (256, 256, 3) and one.text == "Milk 2\neggs"


@pytest.mark.parametrize("seed", range(12))
def test_every_letter_is_in_the_picture(font: str, seed: int) -> None:
    """What is cut off by the edge is not what the text says."""
    seen = drawn(font, seed)
    letters = [render.CLASS_OF[c] for c in "Milk2eggs"]
    assert set(seen.classes[seen.centres].tolist()) <= set(letters)
    assert seen.centres.sum() >= len(letters) - 3  # two small letters may share a cell


def test_a_homography_takes_corners_to_corners() -> None:
    corners = np.array([(10.0, 20), (200, 5), (190, 220), (30, 180)])
    matrix = photographed.homography((100, 60), corners)
    for at, wanted in zip([(0, 0), (100, 0), (100, 60), (0, 60)], corners, strict=True):
        seen = matrix @ (*at, 1)
        assert np.allclose(seen[:2] / seen[2], wanted)


def test_ink_lies_where_the_cells_say(font: str) -> None:
    """A letter's cells vary more than the paper's do, in the median of many pictures."""
    ratios = []
    for seed in range(12):
        rng = random.Random(seed)
        seen = photographed.photographed(["MMMM"], font, rng, 256, SCENE)
        grey = seen.picture.mean(-1).reshape(16, 16, 16, 16).std(axis=(1, 3))
        ratios.append(grey[seen.classes > 0].mean() / np.median(grey))
    assert np.median(ratios) > 2


def test_what_is_held_out_is_not_drawn_for_training() -> None:
    assert not set(photographed.PAPERS) & set(photographed.APART_PAPERS)
    assert not set(photographed.LIGHTS) & set(photographed.APART_LIGHTS)
    assert {*photographed.PAPERS, *photographed.APART_PAPERS} == set(photographed.PAPER)


@pytest.mark.parametrize("light", photographed.LIGHTS + photographed.APART_LIGHTS)
def test_every_light_changes_a_picture(light: str) -> None:
    grey = Image.new("RGB", (64, 64), (200, 200, 200))
    spread = np.asarray(photographed.lit(grey, random.Random(3), light), float)[..., 1].std()
    assert spread == 0 if light == "even" else spread > 3
