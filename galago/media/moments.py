"""Which picture is on the screen at a moment: the newest that has come by then, for as long as none
comes after it.  Screens and telephones are recorded with pictures only when something changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from galago.media.frames import Frame

__all__ = ["CLOCK", "LONGEST", "moments"]

CLOCK = 1e-3  # seconds: times are rounded to a file's clock, what is meant for 1 may lie at 1.0004
LONGEST = 3600.0  # seconds; more between two pictures is a clock that jumped, not looked through


def moments(
    frames: Iterable[Frame], every: float, end: Callable[[], float] | None = None
) -> Iterator[Frame]:
    """What is on the screen at 0, `every`, 2 `every` … seconds; a frame's `at` is that moment.

    `frames` come in the order of their times; the first is taken to stand there from 0 on, as
    players show it.  The last is shown to `end`, which is asked behind it; without one, or if that
    is no later, to its own time.  A picture that is still there comes again, with the same
    thumbnail (Frame.still).  One frame is held.
    """
    newest: Frame | None = None
    count = 0

    def standing(until: float) -> Iterator[Frame]:
        nonlocal count
        assert newest is not None
        while count * every < min(until - CLOCK, newest.at + max(LONGEST, 2 * every)):
            yield newest.still(count * every)
            count += 1
        count = max(count, math.ceil((until - CLOCK) / every))

    for frame in frames:
        if newest is not None:
            yield from standing(frame.at)
        newest = frame
    if newest is not None:
        yield from standing(max(newest.at + 2 * CLOCK, end() if end is not None else 0.0))
