"""Augmentations that are drawn once, stored with what the teachers said, and replayed exactly.

A random resized crop and two operations of RandAugment (arXiv 1909.13719), as torchvision draws and
applies them to Pillow's pictures, in the numbers of Apple's DataCompDR: `[[top, left, height,
width], [[operation, magnitude], [operation, magnitude]]]`.  Shifts are pixels of the 224 px square
that the teachers saw; on another square they are as much of its side.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

__all__ = ["DRAWN_SIDE", "OPERATIONS", "Augmentation", "draw", "read_params", "replay"]

DRAWN_SIDE = 224
_SCALE, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of RandomResizedCrop
_COUNT, _LEVEL, _BINS = 2, 9, 31  # of RandAugment
_TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """box: top, left, height, width in pixels of the picture.  ops: (number in OPERATIONS,
    magnitude), one after the other."""

    box: tuple[int, int, int, int]
    ops: tuple[tuple[int, float], ...]

    def to_json(self) -> list[object]:
        """As DataCompDR writes it."""
        return [list(self.box), [list(op) for op in self.ops]]


def _levels(low: float, high: float) -> float:
    return low + (high - low) * _LEVEL / (_BINS - 1)


@dataclass(frozen=True)
class _Operation:
    """The magnitude that is drawn, whether its sign is a coin's, and what it does; `side` is the
    square's."""

    name: str
    magnitude: float
    signed: bool
    apply: Callable[[Image.Image, float, int], Image.Image]


def _moved(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=(0, 0, 0)
    )


def _pixels(shift: float, side: int) -> int:
    return int(shift * side / DRAWN_SIDE)


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Callable[..., Image.Image]:
    return lambda image, magnitude, _: kind(image).enhance(1 + magnitude)


_SHIFT = _levels(0, 150 / 331 * DRAWN_SIDE)
# In the order of torchvision's and thus of DataCompDR's numbers.
OPERATIONS = (
    _Operation("Identity", 0.0, False, lambda image, *_: image),
    _Operation("ShearX", _levels(0, 0.3), True, lambda i, m, _: _moved(i, (1, m, 0, 0, 1, 0))),
    _Operation("ShearY", _levels(0, 0.3), True, lambda i, m, _: _moved(i, (1, 0, 0, m, 1, 0))),
    _Operation(
        "TranslateX", _SHIFT, True, lambda i, m, s: _moved(i, (1, 0, -_pixels(m, s), 0, 1, 0))
    ),
    _Operation(
        "TranslateY", _SHIFT, True, lambda i, m, s: _moved(i, (1, 0, 0, 0, 1, -_pixels(m, s)))
    ),
    _Operation("Rotate", _levels(0, 30), True, lambda i, m, _: i.rotate(m, fillcolor=(0, 0, 0))),
    _Operation("Brightness", _levels(0, 0.9), True, _enhanced(ImageEnhance.Brightness)),
    _Operation("Color", _levels(0, 0.9), True, _enhanced(ImageEnhance.Color)),
    _Operation("Contrast", _levels(0, 0.9), True, _enhanced(ImageEnhance.Contrast)),
    _Operation("Sharpness", _levels(0, 0.9), True, _enhanced(ImageEnhance.Sharpness)),
    # 8 bits less one for every seven and a half levels
    _Operation(
        "Posterize",
        float(8 - round(_LEVEL / ((_BINS - 1) / 4))),
        False,
        lambda i, m, _: ImageOps.posterize(i, int(m)),
    ),
    _Operation("Solarize", _levels(255, 0), False, lambda i, m, _: ImageOps.solarize(i, m)),  # type: ignore[arg-type]
    _Operation("AutoContrast", 0.0, False, lambda i, *_: ImageOps.autocontrast(i)),
    _Operation("Equalize", 0.0, False, lambda i, *_: ImageOps.equalize(i)),
)


def draw(width: int, height: int, rng: random.Random) -> Augmentation:
    """What one augmentation of a picture of this size will be."""
    ops = []
    for _ in range(_COUNT):
        number = rng.randrange(len(OPERATIONS))
        operation = OPERATIONS[number]
        minus = operation.signed and rng.random() < 0.5
        ops.append((number, -operation.magnitude if minus else operation.magnitude))
    return Augmentation(_box(width, height, rng), tuple(ops))


def _box(width: int, height: int, rng: random.Random) -> tuple[int, int, int, int]:
    """A part of 8 to 100 % of the area, of shape 3:4 to 4:3; the middle where none would fit."""
    low, high = map(math.log, _RATIO)
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*_SCALE)
        ratio = math.exp(rng.uniform(low, high))
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            return rng.randint(0, height - tall), rng.randint(0, width - wide), tall, wide
    ratio = min(max(width / height, _RATIO[0]), _RATIO[1])
    wide, tall = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def replay(image: Image.Image, augmentation: Augmentation, side: int) -> Image.Image:
    """The RGB picture as the augmentation leaves it, `side` pixels square."""
    top, left, height, width = augmentation.box
    part = image.crop((left, top, left + width, top + height))
    part = part.resize((side, side), Image.Resampling.BICUBIC)
    for number, magnitude in augmentation.ops:
        part = OPERATIONS[number].apply(part, magnitude, side)
    return part


def read_params(value: object) -> tuple[Augmentation, ...]:
    """What a shard's `param_aug` says, a list or that as JSON; ValueError for anything else."""
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise ValueError("param_aug is no list of augmentations")
    return tuple(map(_one, found))


def _one(value: Any) -> Augmentation:
    try:
        (top, left, height, width), ops = value
        box = (int(top), int(left), int(height), int(width))
        drawn = () if ops is None else ops
        read = tuple(_operation(op) for op in drawn)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError("param_aug holds an augmentation that is none of DataCompDR's") from error
    if min(box[:2]) < 0 or min(box[2:]) < 1:
        raise ValueError(f"param_aug holds the box {box}, which no picture has")
    return Augmentation(box, read)


def _operation(op: Sequence[float]) -> tuple[int, float]:
    number, magnitude = int(op[0]), float(op[1])
    # the largest of the 31 levels that torchvision knows of any operation is a solarization of 255
    if not 0 <= number < len(OPERATIONS) or not abs(magnitude) <= 255:
        raise ValueError(f"{op} is no operation of RandAugment")
    return number, magnitude
