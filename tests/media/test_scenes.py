"""Where one scene ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from galago.media.frames import grey
from galago.media.scenes import HOLD, INTERVAL, Scene, apart, scenes
from tests.helpers.videos import view


@dataclass(frozen=True)
class Shot:
    at: float
    values: np.ndarray

    def grey(self) -> np.ndarray:
        return self.values


def film(thumbs: Iterable[np.ndarray]) -> list[Shot]:
    random = np.random.default_rng(0)
    return [
        Shot(count * INTERVAL, np.clip(t + random.normal(0, 1, t.shape), 0, 255).astype(np.float32))
        for count, t in enumerate(thumbs)
    ]


def cut(seeds: Iterable[int], length: int = 30) -> list[np.ndarray]:
    return [grey(view(seed)) for seed in seeds for _ in range(length)]


def starts(frames: Iterable[Shot]) -> list[float]:
    return [round(scene.start, 3) for scene in scenes(frames)]


def test_cuts() -> None:
    found = list(scenes(film(cut(range(6)))))
    assert [round(scene.start, 3) for scene in found] == [0, 3, 6, 9, 12, 15]
    assert [s.end for s in found[:-1]] == [s.start for s in found[1:]], "no gaps"
    assert found[-1].end == pytest.approx(17.9)
    for number, scene in enumerate(found):
        assert apart(scene.frame.grey(), grey(view(number))) < 0.2
        share = (scene.frame.at - scene.start) / (scene.end - scene.start)
        assert 0.2 < share <= 0.5


def test_a_slide_on_a_background_that_stays() -> None:
    thumbs = []
    for seed in range(4):
        page = np.full((64, 64), 240, np.float32)
        page[20:44, 20:44] = grey(view(seed))[20:44, 20:44]
        thumbs += [page] * 30
    assert starts(film(thumbs)) == [0, 3, 6, 9]


@pytest.mark.parametrize("lasts", [1.0, 5.0])
def test_pictures_that_are_one_frame_each(lasts: float) -> None:
    page = np.full((64, 64), 240, np.float32)
    pages = [page.copy() for _ in range(6)]
    for seed, one in enumerate(pages):
        one[20:44, 20:44] = grey(view(seed))[20:44, 20:44]
    for slides in ([grey(view(seed)) for seed in range(6)], pages):
        frames = [Shot(count * lasts, slide) for count, slide in enumerate(slides)]
        found = list(scenes(frames, lambda: 6 * lasts))
        assert [scene.start for scene in found] == [count * lasts for count in range(6)]
        assert [scene.end for scene in found] == [count * lasts for count in range(1, 7)]
        assert all(scene.frame.at == scene.start for scene in found)


def test_dissolves_and_fades_end_a_scene() -> None:
    one, two = grey(view(1)), grey(view(2))
    steps = [one * (1 - s) + two * s for s in np.linspace(0, 1, 8)]
    first, second = starts(film([one] * 30 + steps + [two] * 30))
    assert first == 0 and 3 < second < 3.8
    dark = [one * s for s in np.linspace(1, 0, 10)] + [two * s for s in np.linspace(0, 1, 10)]
    assert len(starts(film([one] * 30 + dark + [two] * 30))) == 2


@pytest.mark.parametrize("level", [0, 255])
def test_a_flash_ends_nothing(level: int) -> None:
    thumbs = cut([3], 60)
    thumbs[25:27] = [np.full((64, 64), level, np.float32)] * 2
    assert starts(film(thumbs)) == [0]


def test_exposure_and_noise_end_nothing() -> None:
    one = 40 + grey(view(4)) * 0.6
    drift = [one * (1 + 0.2 * np.sin(step / 8)) for step in range(100)]
    assert starts(film(drift)) == [0]


def test_short_and_empty() -> None:
    assert list(scenes([])) == []
    (only,) = scenes(film(cut([1], 1)))
    assert (only.start, only.end) == (0, 0)
    brief = cut([1], 30) + cut([2], int(HOLD / INTERVAL / 2)) + cut([1], 30)
    assert starts(film(brief)) == [0], "no scene is shorter than HOLD"


def test_scenes_come_as_soon_as_they_are_over() -> None:
    seen = 0

    def counted() -> Iterator[Shot]:
        nonlocal seen
        for frame in film(cut([1, 2, 3])):
            seen += 1
            yield frame

    next(scenes(counted()))
    assert seen <= 30 + HOLD / INTERVAL + 2


def test_a_failure_comes_after_the_scene_it_happens_in() -> None:
    def broken() -> Iterator[Shot]:
        yield from film(cut([1, 2]))
        raise ValueError("the end is missing")

    got: list[Scene[Shot]] = []
    with pytest.raises(ValueError, match="the end is missing"):
        for scene in scenes(broken()):
            got.append(scene)
    assert [round(scene.start) for scene in got] == [0, 3]
