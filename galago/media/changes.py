"""A camera that nearly stands still: is this frame the one that was described already?

Pure functions on small grey thumbnails, and a memory of one of them.  A frame is compared with the
frame that was described, not with the last one, so that a slow pan can't stay "unchanged" for
ever; and what was described grows old, so that nothing is believed for longer than `max_age`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError

__all__ = ["MAX_AGE", "THRESHOLD", "ChangeDetector", "difference"]

THRESHOLD = 6.0  # see `difference`
MAX_AGE = 30.0  # seconds

_WINDOW = 3  # cells: a twentieth of the side
_GAIN = (0.75, 1.33)  # beyond this, somebody turned the light on or off
_OFFSET = 32.0  # grey levels


def difference(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """How far thumbnails (galago.media.frames.grey) lie apart where they differ most, in levels.

    The root mean square difference in the window of 3 x 3 cells where it is largest, after the
    gain and offset that explain `now` best (least squares, within bounds) are taken out of
    `before`: a camera's exposure drifts.
    """
    centred = before - before.mean()
    power = float(np.vdot(centred, centred))
    gain = float(np.vdot(centred, now)) / power if power > 0 else 1.0
    gain = min(max(gain, _GAIN[0]), _GAIN[1])
    offset = float(now.mean()) - gain * float(before.mean())
    # What the gain moves about the middle grey belongs to the gain, not to the offset.
    spare = offset - (1 - gain) * 128
    offset += min(max(spare, -_OFFSET), _OFFSET) - spare
    explained = np.clip(gain * before + offset, 0, 255)  # a camera can't go beyond white either
    squares = (now - explained) ** 2
    rows = squares[:-2] + squares[1:-1] + squares[2:]
    windows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(windows.max() / _WINDOW**2))


class ChangeDetector:
    """Remembers the thumbnail of the frame that was described.

    max_age: seconds after which even an unchanged frame counts as changed; 0 turns the detector
    off.  threshold: grey levels of `difference` from which a frame has changed.  Raises OptionError
    for negative ones.
    """

    def __init__(self, *, max_age: float = MAX_AGE, threshold: float = THRESHOLD) -> None:
        if not max_age >= 0 or not threshold >= 0:
            raise OptionError("max_age and threshold can't be negative; max_age 0 turns it off")
        self.max_age, self.threshold = max_age, threshold
        self._kept: NDArray[np.float32] | None = None
        self._at = 0.0

    def unchanged(self, thumbnail: NDArray[np.float32], at: float) -> bool:
        """Whether what was said of the kept frame still holds `at` this time, in seconds."""
        if self._kept is None or not self.max_age or at - self._at >= self.max_age:
            return False
        return difference(self._kept, thumbnail) < self.threshold

    def keep(self, thumbnail: NDArray[np.float32], at: float) -> None:
        """This frame, of this time in seconds, has been described."""
        self._kept, self._at = thumbnail, at
