"""Stored augmentations replayed: beside plain numpy and torchvision, and as Apple wrote them."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from PIL import Image

from galago.train.clip.augment import (
    DRAWN_SIDE,
    OPERATIONS,
    Augmentation,
    draw,
    read_params,
    replay,
)
from tests.helpers.augmentations import augmented

# The first two of the first rows of apple/DataCompDR-12M and -1B, as its card shows them.
PUBLISHED = (
    "[[[14, 347, 370, 427], [[0, 0.0], [6, 0.26999998092651367]]], "
    "[[45, 20, 54, 64], [[11, 178.5], [12, 0.0]]]]"
)
SHIFTED = "[[[32, 291, 657, 709], [[2, -0.09000000357627869], [4, -30.45317268371582]]]]"


def picture(seed: int, width: int = 57, height: int = 43) -> Image.Image:
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(height), np.arange(width))[..., None] * [1, 2, 0.5]
    noise = rng.integers(-20, 21, (height, width, 3))
    return Image.fromarray(np.clip(slope + noise + 20, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=[one.name for one in OPERATIONS])
@pytest.mark.parametrize("sign", (1, -1))
@pytest.mark.parametrize("side", (48, 24))
def test_an_operation_is_what_plain_numpy_makes_of_it(number: int, sign: int, side: int) -> None:
    operation = OPERATIONS[number]
    magnitude = operation.magnitude * (sign if operation.signed else 1)
    one = Augmentation((5, 7, 31, 40), ((number, magnitude), (0, 0.0)))
    image = picture(number)
    found = np.asarray(replay(image, one, side), np.float64) / 255
    wanted = augmented(np.asarray(image), one.to_json(), side, tall=False) / 255
    assert np.abs(found - wanted).max() <= 1e-6
    plain = replay(image, Augmentation(one.box, ((0, 0.0),)), side)
    assert number == 0 or np.abs(found * 255 - np.asarray(plain)).max() >= 1  # it does something


def test_drawn_ones_are_what_plain_numpy_makes_of_them() -> None:
    rng = random.Random(3)
    for seed in range(12):
        image = picture(seed, rng.randint(20, 90), rng.randint(20, 90))
        one = draw(*image.size, rng)
        found = np.asarray(replay(image, one, 32))
        ways = [
            augmented(np.asarray(image), one.to_json(), 32, tall=tall) for tall in (False, True)
        ]
        assert any(np.array_equal(found, way) for way in ways)


def test_drawn_boxes_lie_in_the_picture_and_all_operations_come() -> None:
    rng, seen, shares = random.Random(1), set(), []
    for _ in range(600):
        width, height = rng.randint(1, 400), rng.randint(1, 400)
        one = draw(width, height, rng)
        top, left, tall, wide = one.box
        assert top >= 0 and left >= 0 and 0 < tall <= height - top and 0 < wide <= width - left
        seen |= {(number, magnitude > 0) for number, magnitude in one.ops}
        shares.append(tall * wide / (width * height))
    signed = {number for number, one in enumerate(OPERATIONS) if one.signed}
    assert {number for number, _ in seen} == {*range(len(OPERATIONS))}
    assert all({(number, True), (number, False)} <= seen for number in signed)
    assert min(shares) < 0.2 and max(shares) > 0.8


def test_a_picture_too_long_for_any_box_gives_its_middle() -> None:
    assert draw(1000, 3, random.Random(0)).box == (0, 498, 3, 4)


def test_apples_numbers_are_read_and_written_as_they_are() -> None:
    found = read_params(PUBLISHED)
    assert found[0].box == (14, 347, 370, 427) and found[0].ops[1] == (6, 0.26999998092651367)
    assert json.loads(PUBLISHED) == [one.to_json() for one in found]
    # its magnitudes are those that are drawn here, in float32
    (shifted,) = read_params(SHIFTED)
    for number, magnitude in (*found[1].ops, *shifted.ops):
        assert abs(magnitude) == pytest.approx(OPERATIONS[number].magnitude, rel=1e-6)


def test_a_crop_of_which_no_operation_was_drawn_is_a_crop() -> None:
    (found,) = read_params("[[[0, 1, 20, 30], null]]")
    assert (found.box, found.ops) == ((0, 1, 20, 30), ())


def test_a_shift_is_the_same_share_of_every_side() -> None:
    one = Augmentation((0, 0, 32, 32), ((3, 56.0),))  # a quarter of what the teachers saw
    white = Image.new("RGB", (32, 32), "white")
    for side in (DRAWN_SIDE, 64, 16):
        black = (np.asarray(replay(white, one, side))[0, :, 0] == 0).mean()
        assert black == 0.25


@pytest.mark.parametrize(
    "wrong",
    ["", "[]", "{}", "[[1, 2]]", "[[[0, 0, 0, 5], []]]", "[[[0, 0, 5, 5], [[14, 0.0]]]]",
     "[[[0, 0, 5, 5], [[5, 1e9]]]]", "[[[0, 0, 5, 5], [[5]]]]", "[[[-1, 0, 5, 5], []]]"],
)  # fmt: skip
def test_what_is_no_list_of_augmentations_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        read_params(wrong)


def test_torchvision_makes_the_same_of_them() -> None:
    pytest.importorskip("torchvision")
    from torchvision.transforms import InterpolationMode, RandAugment
    from torchvision.transforms import functional as F
    from torchvision.transforms.autoaugment import _apply_op

    space = RandAugment()._augmentation_space(31, (DRAWN_SIDE, DRAWN_SIDE))
    assert [one.name for one in OPERATIONS] == [*space]
    for number, (name, (levels, signed)) in enumerate(space.items()):
        drawn = float(levels[9]) if levels.ndim else 0.0
        assert OPERATIONS[number].magnitude == pytest.approx(drawn, rel=1e-6)
        assert OPERATIONS[number].signed == signed
        image = picture(number, 300, 200)
        part = F.resized_crop(image, 9, 8, 150, 180, [DRAWN_SIDE] * 2, InterpolationMode.BICUBIC)
        wanted = _apply_op(part, name, drawn, interpolation=InterpolationMode.NEAREST, fill=None)
        one = Augmentation((9, 8, 150, 180), ((number, drawn),))
        assert np.array_equal(np.asarray(replay(image, one, DRAWN_SIDE)), np.asarray(wanted)), name
