"""What an answer says of what the model knows; the embedded FastVLM against itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.text.presets import PRESETS
from galago.vlm.fastvlm import FastVLM
from galago.vlm.reply import EncodedImage, Stats, judged

EXAMPLES = Path(__file__).parents[2] / "examples"
STATS = Stats(0, 0, 0, 0, 0, 0, 0, 1, 0.5, 256)


class Judge:
    """Knows a picture by its first number."""

    def known(self, features: np.ndarray, answer: object = ()) -> float:
        assert answer == replace(STATS, least=0.25).signals
        return float(features[0, 0])

    def doubts(self, known: float) -> bool:
        return known < 0.5


def image(known: float) -> EncodedImage:
    return EncodedImage(np.full((1, 2), known, np.float32), (1, 1), 256, 0.0, "m", "m")


def test_of_several_pictures_the_one_known_least_counts() -> None:
    stats = judged(STATS, Judge(), [image(0.75), image(0.25), image(1.0)], 0.25)
    assert (stats.known, stats.doubted, stats.least) == (0.25, True, 0.25)
    assert not judged(STATS, Judge(), [image(0.75)], 0.25).doubted


def test_no_measure_or_no_picture_no_doubt() -> None:
    for judge, images in ((None, [image(0.1)]), (Judge(), [])):
        stats = judged(STATS, judge, images, 0.25)
        assert stats.known is None and not stats.doubted


@pytest.fixture(scope="module")
def nano() -> FastVLM:
    return FastVLM.load("fastvlm-nano")


def asked(vlm: FastVLM, picture: object, preset: str = "describe") -> Stats:
    *_, last = vlm.stream(picture, PRESETS[preset])  # type: ignore[arg-type]
    assert last.stats is not None
    return last.stats


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("note.png", "read"),
        ("hand.jpg", "count"),
        ("emoji.png", "brief"),
        ("object.jpg", "describe"),
    ],
)
def test_what_it_knows_is_not_doubted(nano: FastVLM, name: str, preset: str) -> None:
    stats = asked(nano, EXAMPLES / name, preset)
    assert not stats.doubted and stats.known is not None and stats.known > 0.5


def town() -> Image.Image:
    """A skyline at dusk with lit windows."""
    page = Image.new("RGB", (320, 240), (60, 60, 110))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 150, 320, 240), fill=(200, 120, 80))
    for number, left in enumerate(range(0, 320, 40)):
        top = 60 + 37 * number % 90
        draw.rectangle((left, top, left + 34, 240), fill=(60 + 5 * number, 70, 80))
        for x, y in ((x, y) for x in (left + 6, left + 20) for y in range(top + 8, 230, 16)):
            draw.rectangle((x, y, x + 7, y + 8), fill=(250, 240, 150))
    return page


def test_what_it_was_never_taught_is_doubted_however_sure_it_sounds(nano: FastVLM) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    for picture in (Image.fromarray(noise), town()):
        stats = asked(nano, picture)
        assert stats.confidence > 0.85 and stats.doubted
