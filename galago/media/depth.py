"""Numbers of any depth and sign -> 8 bits: what is black, and what is white."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.errors import ImageError
from galago.media.strips import strips

__all__ = ["Meaning", "to_8bit", "widened"]

# Depths that cameras, scanners and programs have.
_DEPTHS = (8, 10, 12, 14, 15, 16, 24, 31, 32)
_OVERSHOOT = 0.99  # of the floats are at most 1: highlights beyond it are white


@dataclass(frozen=True)
class Meaning:
    """What a file says of its numbers: the one that is white, the bits of one, whether 0 is white.

    `unsigned`: they are stored in 32 bits without a sign, which Pillow hands out with one.
    """

    top: int | None = None
    bits: int | None = None
    inverted: bool = False
    unsigned: bool = False


def to_8bit(image: Image.Image, meaning: Meaning, label: str) -> Image.Image:
    """The same as L where it is grey and deeper than 8 bits; any other is left as it is.

    White is what the file says (sBIT, MaxSampleValue, a PPM's own), else the largest number of the
    least depth that holds the brightest pixel: 8, 10, 12, 14 … bits.  Of floats 1, or the same.
    Raises ImageError for numbers below 0, which no brightness has.
    """
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    least, most = _range(image, meaning)
    floats = image.mode == "F"
    if least < 0 and (not floats or -least > most / 10):  # floats swing a little at edges
        raise ImageError(
            f"{label} holds numbers below 0, which no brightness has; save it as 8 or 16 bits"
        )
    top = _top_of_floats(image, most) if floats else _top(int(most), meaning)
    sign, start = (-1, 255.0) if meaning.inverted else (1, 0.0)
    scale = sign * 255.0 / top
    clear = image.info.get("transparency")

    def grey(values: NDArray[Any]) -> NDArray[np.uint8]:
        scaled = np.clip(start + values.astype(np.float32) * np.float32(scale), 0, 255)
        eight: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
        if isinstance(clear, int):
            eight[values == clear] = 255
        return eight

    return _in_strips(image, "L", lambda box: grey(_values(image, box, meaning)))


def widened(high: Image.Image, low: Image.Image, meaning: Meaning) -> Image.Image:
    """RGB(A) of 8 bits from the high and the low bytes of 16; alpha by a white of its own."""
    tops = np.full(len(high.getbands()), 1.0, np.float32)
    peaks = [0] * len(tops)
    for box in strips(high):
        both = _sixteen(high, low, box).reshape(-1, len(tops))
        peaks = np.maximum(peaks, both.max(axis=0)).tolist()
    tops[:3] = _top(max(peaks[:3]), meaning)
    tops[3:] = [_top(peak, meaning) for peak in peaks[3:]]
    scale = np.float32(255) / tops
    return _in_strips(
        high, high.mode, lambda box: np.rint(_sixteen(high, low, box) * scale).astype(np.uint8)
    )


def _sixteen(
    high: Image.Image, low: Image.Image, box: tuple[int, int, int, int]
) -> NDArray[np.uint16]:
    both: NDArray[np.uint16] = np.asarray(high.crop(box)).astype(np.uint16) * np.uint16(256)
    both += np.asarray(low.crop(box))
    return both


def _in_strips(
    image: Image.Image,
    mode: str,
    values: Callable[[tuple[int, int, int, int]], NDArray[np.uint8]],
) -> Image.Image:
    out = Image.new(mode, image.size)
    for box in strips(image):
        out.paste(Image.fromarray(values(box)), box)
    out.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return out


def _values(image: Image.Image, box: tuple[int, int, int, int], meaning: Meaning) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(image.crop(box))
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0, posinf=np.inf, neginf=0)
    elif meaning.unsigned and image.mode == "I":
        values = values.view(np.uint32)
    return values


def _range(image: Image.Image, meaning: Meaning) -> tuple[float, float]:
    """The least and the most of the numbers that are finite."""
    least, most = 0.0, 0.0
    for box in strips(image):
        values = _values(image, box, meaning)
        values = values[np.isfinite(values)] if image.mode == "F" else values
        if values.size:
            least, most = min(least, float(values.min())), max(most, float(values.max()))
    return least, most


def _top(peak: int, meaning: Meaning) -> int:
    """The number that is white."""
    if meaning.top is not None and peak <= meaning.top:
        return meaning.top
    whole = meaning.bits if meaning.bits in (15, 16, 31, 32) else None
    for bits in _DEPTHS:
        if peak < 1 << bits and (bits not in (15, 31) or bits == whole):
            return (1 << bits) - 1
    return peak


def _top_of_floats(image: Image.Image, peak: float) -> float:
    if peak <= 1:
        return 1.0
    over = sum(int((np.asarray(image.crop(box)) > 1).sum()) for box in strips(image))
    if over <= (1 - _OVERSHOOT) * image.width * image.height:
        return 1.0
    return float(_top(int(np.ceil(peak)), Meaning()))
