"""A few pictures of a video, to know it by: evenly spread and reached by jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.errors import VideoError
from galago.media.frames import Frame
from galago.media.scenes import apart
from galago.media.video import Video

__all__ = ["MOST", "Still", "still_at", "stills"]

MOST = 8
_STRETCH = 5.0  # seconds for which one picture stands, in a video that is short
_FLAT = 4.0  # a standard deviation of grey levels below which a picture is all of one colour
_SAME = 0.12  # of `apart`: less is the same view again


@dataclass(frozen=True, eq=False)
class Still:
    """A picture of a video: its second, and its pixels, uint8 (height, width, 3), upright."""

    second: float
    pixels: NDArray[np.uint8]


def stills(path: str, side: int, most: int = MOST) -> list[Still]:
    """At most so many pictures that differ, in their order, at most `side` pixels wide and high.

    One for every five seconds, from the middle of as many equal stretches.  A picture of one
    colour is left out if there is another.  Raises VideoError when there is none at all.
    """
    with Video(path, threads=1) as video:
        kept: list[Frame] = []
        for second in _middles(video.length, most):
            frame = video.near(second)
            if frame is not None and not any(_alike(frame, other) for other in kept):
                kept.append(frame)
        shown = [frame for frame in kept if frame.grey().std() >= _FLAT] or kept[:1]
        if not shown:  # the middle of a file that is cut short is missing
            first = video.near(0.0)
            shown = [first] if first is not None else []
        if not shown:
            raise VideoError(f"{video.name} holds no picture that can be decoded; is it damaged?")
        return [Still(frame.at, _pixels(frame, side)) for frame in shown]


def still_at(path: str, second: float | None = None, *, name: str | None = None) -> Image.Image:
    """The picture of a video from about this second, or its first still.  Raises VideoError."""
    with Video(path, name=name, threads=1) as video:
        at = _middles(video.length, MOST)[0] if second is None else second
        frame = video.near(at) or video.near(0.0)
        if frame is None:
            raise VideoError(f"{video.name} holds no picture that can be decoded; is it damaged?")
        return frame.image()


def _middles(length: float, most: int) -> list[float]:
    """The middles of as many equal stretches as are looked at."""
    count = max(1, min(most, math.ceil(length / _STRETCH)))
    return [(number + 0.5) * length / count for number in range(count)]


def _alike(one: Frame, other: Frame) -> bool:
    return one.at == other.at or apart(one.grey(), other.grey()) < _SAME


def _pixels(frame: Frame, side: int) -> NDArray[np.uint8]:
    image = frame.image()
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(image)
