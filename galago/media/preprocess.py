"""An RGB picture -> pixel values, as the model's ImageSpec says: pure functions.

They agree with the published processors to the last 8-bit step (tests/parity/test_preprocess.py
measures it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.media.padding import pad_long
from galago.specs import ImageSpec

__all__ = ["fit_square", "normalise", "preprocess"]

_BLOCK_ROWS = 512  # rows padded at a time, so that a 3x20000 picture never becomes 20000x20000
_LONG = 8  # beyond this aspect ratio the padding would cost more than the picture
_LONG_CROP = 32  # beyond this aspect ratio only what survives the crop is resized (memory)
_RESAMPLE = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def fit_square(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """The RGB picture on a square of `spec.side` pixels, padded or cropped as the spec says."""
    resample = _RESAMPLE[spec.resample]
    if spec.fit == "crop":
        return _crop_square(image, spec.side, resample, spec.rounded)
    # Cut off, not rounded: llava's expand2square does so.
    red, green, blue = (min(max(int(value * 255), 0), 255) for value in spec.mean)
    return _pad_square(image, spec.side, resample, (red, green, blue))


def preprocess(image: Image.Image, spec: ImageSpec) -> NDArray[np.float32]:
    """Pixel values, float32 (3, side, side), of an RGB picture.

    `fit="pad"` is expand2square of apple/ml-fastvlm (llava/mm_utils.py) followed by the CLIP image
    processor; `fit="crop"` is the CLIP image processor alone.  Both agree with the reference to
    the last 8-bit step.  Where they can't: crops of pictures over 32 times longer than wide (only
    the part that stays is resized, and Pillow chooses the order of rows and columns by size, so
    sharp edges may differ), and the large JPEGs of `images.load_pixels`.
    """
    return normalise(np.asarray(fit_square(image, spec)), spec)


def normalise(square: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """Pixel values, float32 (3, side, side), of a square of uint8 (side, side, 3)."""
    values = np.multiply(square.transpose(2, 0, 1), np.float32(1 / 255), dtype=np.float32)
    if tuple(spec.mean) != (0.0, 0.0, 0.0) or tuple(spec.std) != (1.0, 1.0, 1.0):
        mean = np.asarray(spec.mean, np.float32)[:, None, None]
        std = np.asarray(spec.std, np.float32)[:, None, None]
        values = (values - mean) / std
    return np.ascontiguousarray(values)


def _pad_square(
    image: Image.Image, side: int, resample: Image.Resampling, fill: tuple[int, int, int]
) -> Image.Image:
    """Pad to a square, then resize, without ever holding the padded square.

    Of a square Pillow resizes the rows first, rounds to 8 bits, then the columns; doing the two by
    hand on padded strips gives the same pixels.
    """
    width, height = image.size
    longest = max(width, height)
    if width == height:
        return image.resize((side, side), resample)
    if longest > _LONG * min(width, height):
        return pad_long(image, side, resample, fill)
    column = Image.new("RGB", (side, longest), fill)
    if width > height:
        column.paste(image.resize((side, height), resample), (0, (width - height) // 2))
    else:
        for top in range(0, height, _BLOCK_ROWS):
            bottom = min(top + _BLOCK_ROWS, height)
            rows = Image.new("RGB", (height, bottom - top), fill)
            rows.paste(image.crop((0, top, width, bottom)), ((height - width) // 2, 0))
            column.paste(rows.resize((side, bottom - top), resample), (0, top))
    return column.resize((side, side), resample)


def _crop_square(
    image: Image.Image, side: int, resample: Image.Resampling, rounded: bool
) -> Image.Image:
    """Shortest edge to `side`, then the centre."""
    width, height = image.size
    shortest, longest = min(width, height), max(width, height)
    long_side = int(side * longest / shortest)
    size = (side, long_side) if width <= height else (long_side, side)
    # round() takes a half to the even neighbour, in torchvision too.
    left, top = (round(n / 2) if rounded else n // 2 for n in (size[0] - side, size[1] - side))
    if long_side <= _LONG_CROP * side:
        return image.resize(size, resample).crop((left, top, left + side, top + side))
    across, down = width / size[0], height / size[1]
    box = (left * across, top * down, (left + side) * across, (top + side) * down)
    return image.resize((side, side), resample, box=box)
