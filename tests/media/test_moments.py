"""What is on the screen when: the newest picture that has come, for as long as none does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from galago.media.frames import Frame
from galago.media.moments import LONGEST, moments
from galago.media.scenes import INTERVAL, scenes
from tests.helpers.videos import view


def film(*times: float) -> list[Frame]:
    """A picture of another grey for each time."""
    return [Frame(at, Image.new("L", (64, 64), shade)) for shade, at in enumerate(times)]


def shown(frames: Sequence[Frame], every: float, end: float | None = None) -> list[tuple]:
    """Moments, and which of the pictures each of them shows."""
    found = moments(frames, every, None if end is None else lambda: end)
    return [(round(one.at, 6), int(one.grey()[0, 0])) for one in found]


def test_the_newest_at_or_before_each_moment() -> None:
    assert shown(film(0, 0.3, 0.9, 2.0, 2.1), 1.0, 2.2) == [(0, 0), (1, 2), (2, 3)]
    assert shown(film(0, 1.2), 0.5, 2.0) == [(0, 0), (0.5, 0), (1, 0), (1.5, 1)]


def test_a_picture_that_stays_comes_again_with_the_same_thumbnail() -> None:
    found = list(moments(film(0, 30), 10, lambda: 60))
    assert [one.at for one in found] == [0, 10, 20, 30, 40, 50]
    assert len({id(one.grey()) for one in found}) == 2
    with pytest.raises(ValueError, match="read-only"):
        found[0].grey()[0] = 1


def test_the_first_stands_there_from_0_on_and_the_last_to_the_end() -> None:
    assert shown(film(2.5, 3.0), 1.0, 5.0) == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]
    assert shown(film(0.0), 1.0) == shown(film(0.0), 1.0, 0.0) == [(0, 0)]
    assert shown(film(0, 1), 1.0) == [(0, 0), (1, 1)], "to its own time"
    assert shown([], 1.0, 9.0) == []


def test_times_are_rounded_to_the_clock_of_the_file() -> None:
    assert shown(film(0, 0.9996, 2.0004), 1.0, 2.9996) == [(0, 0), (1, 1), (2, 2)]


def test_a_clock_that_jumps_is_not_looked_through() -> None:
    found = shown(film(0, 1e9, 1e9 + 1), 1.0, 1e12)
    assert len(found) == 2 * LONGEST + 1
    assert shown(film(0, 10_000), 7200.0) == [(0, 0), (7200, 0)], "but what is asked for is"
    assert found[int(LONGEST)] == (1e9, 1) and found[-1][1] == 2


def test_scenes_of_changes_are_those_of_a_full_recording() -> None:
    """A slide comes by a dissolve, and its last step lies between two looks."""
    slides = [view(seed).astype(float) for seed in (1, 2, 3)]
    changes: list[tuple[float, np.ndarray]] = [(0.0, slides[0])]
    for begin, old, new in ((10.033, *slides[:2]), (40.033, *slides[1:])):
        steps = np.linspace(0, 1, 15)
        changes += [
            (begin + at * 0.033, (1 - share) * old + share * new) for at, share in enumerate(steps)
        ]
    frames = [
        Frame(at, Image.fromarray(np.rint(pixels).astype(np.uint8))) for at, pixels in changes
    ]
    full = [
        [one for one in frames if one.at <= count * INTERVAL + 1e-3][-1].still(count * INTERVAL)
        for count in range(600)
    ]
    once = list(scenes(moments(frames, INTERVAL, lambda: 60.0), lambda: 60.0))
    copies = [Frame(frame.at, frame.image()) for frame in full]  # each with a thumbnail of its own
    each = list(scenes(copies, lambda: 60.0))
    told = [
        [(round(s.start, 1), round(s.end, 1), round(s.frame.at, 1)) for s in found]
        for found in (once, each)
    ]
    assert told[0] == told[1] and len(once) == 3
    for scene, slide in zip(once, slides, strict=True):
        assert np.abs(np.asarray(scene.frame.image(), float) - slide).mean() < 1
