"""Frames with times, wherever they come from, and PyAV, which decodes them (the extra `video`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.errors import MissingExtraError, VideoError

SIDE = 64  # an average over so many cells a side takes most of a sensor's noise away


@dataclass(frozen=True)
class Frame:
    """One picture of a video, a camera or a screen, and when it was, in seconds from the start."""

    at: float
    _picture: Any  # a PIL image or PyAV's frame, which is turned into one when it is needed
    _shape: float = 1.0  # how wide a pixel is for its height
    _thumbnail: list[NDArray[np.float32]] = field(default_factory=list, compare=False, repr=False)

    def still(self, at: float) -> Frame:
        """The same picture at another time; its thumbnail is made once for both."""
        return replace(self, at=at)

    def grey(self) -> NDArray[np.float32]:
        """A thumbnail for `changes` and `scenes` beside this: float32 (64, 64) of 0..255.

        The very same array each time, read-only; not turned upright.  Raises VideoError for a
        picture FFmpeg can't convert; `image` does as well.
        """
        if not self._thumbnail:
            made = self._grey()
            made.flags.writeable = False
            self._thumbnail.append(made)
        return self._thumbnail[0]

    def _grey(self) -> NDArray[np.float32]:
        if isinstance(self._picture, Image.Image):
            return grey(self._picture)
        with self._converting():
            small = self._picture.reformat(SIDE, SIDE, "gray", interpolation="AREA")
            return np.array(small.to_ndarray(), np.float32)

    def image(self) -> Image.Image:
        """The picture, upright and not mirrored, in its true proportions, RGB."""
        if isinstance(self._picture, Image.Image):
            return self._picture.convert("RGB")
        with self._converting():
            wide = {} if self._shape == 1 else {"width": round(self._picture.width * self._shape)}
            image: Image.Image = self._picture.to_image(**wide)
            matrix = _display_matrix(self._picture)
        return image if matrix is None else upright(image, matrix)

    @contextmanager
    def _converting(self) -> Iterator[None]:
        try:
            yield
        except av_errors() as error:
            raise VideoError(f"the picture at {clock(self.at)} can't be read: {error}") from error


class _NoPyAV(VideoError, MissingExtraError):
    """A video or camera without the extra that reads it."""


def _display_matrix(picture: Any) -> NDArray[np.int32] | None:
    """The first two columns of a file's display matrix, int32 (2, 2) in 16.16; None without one."""
    for at in range(len(picture.side_data)):  # by number: what its keys are differs with PyAV's age
        found = picture.side_data[at]
        if found.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(found), np.int32, 9).reshape(3, 3)[:2, :2]
    return None


def upright(image: Image.Image, matrix: NDArray[np.int32]) -> Image.Image:
    """The image as a display matrix [[a, b], [c, d]] has it shown: x' = ax + cy, y' = bx + dy.

    ISO/IEC 14496-12, 8.3.2; as FFmpeg's autorotate does it (fftools/ffmpeg_filter.c): quarter
    turns and mirrors; another angle (over a degree off) is turned only; scale and place count for
    nothing, nor does a matrix that has the picture vanish.
    """
    (a, b), (c, d) = matrix.astype(np.float64).tolist()
    if a * d == b * c:
        return image
    if min(abs(a), abs(b)) > math.tan(math.radians(1)) * max(abs(a), abs(b)):
        return image.rotate(-math.degrees(math.atan2(b, a)), expand=True)
    lying = abs(b) > abs(a)
    if lying:
        image = image.transpose(Image.Transpose.TRANSPOSE)
    if (c if lying else a) < 0:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if (b if lying else d) < 0:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return image


def grey(picture: Image.Image | NDArray[np.uint8]) -> NDArray[np.float32]:
    """The picture's thumbnail, float32 (64, 64) of 0..255: each cell the mean of its pixels.

    Takes a PIL image, or a uint8 array (H, W) or (H, W, 3).
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    # Grey last: three small channels instead of a large picture converted.
    small = image if image.mode in ("L", "RGB") else image.convert("RGB")
    small = small.resize((SIDE, SIDE), Image.Resampling.BOX).convert("L")
    return np.asarray(small, np.float32)


def has_av() -> bool:
    """Whether there is what reads videos."""
    return find_spec("av") is not None


def import_av(what: str) -> Any:
    """PyAV; `what` needs it. Raises a VideoError that is a MissingExtraError as well."""
    try:
        import av
    except ImportError:
        raise _NoPyAV(f"{what}, and PyAV reads those", "video") from None
    return av


def av_errors() -> tuple[type[Exception], ...]:
    """What PyAV raises for what it can't read. Some of FFmpeg's errors are neither of Python's."""
    import av

    return av.FFmpegError, OSError, ValueError


def clock(seconds: float) -> str:
    """1:02:03.4 for people; hours only where there are any."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{head}:{tenths // 10:02}.{tenths % 10}"
