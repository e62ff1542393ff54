"""A second look: what is a copy of a picture, and what only shows the same."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from galago.album.pixels import compared, is_copy, look

WORDS = tuple("the of and light where seven paper window under letter total a in".split())  # noqa: SIM905


@cache
def page(seed: int, points: int = 24, ink: int = 20, paper: int = 255) -> Image.Image:
    """A page of text, other words for each seed."""
    draw_words = random.Random(seed)
    image = Image.new("L", (900, 1200), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(points)
    for y in range(60, 1140, int(points * 1.5)):
        line = " ".join(draw_words.choice(WORDS) for _ in range(900 // points))
        draw.text((60, y), line[: int(1500 / points)], ink, font=font)
    return image.convert("RGB")


@cache
def chat(last: str) -> Image.Image:
    """The screen of a telephone: messages, of which the last differs."""
    image = Image.new("RGB", (585, 1266), (245, 245, 250))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for number, text in enumerate([*WORDS[:11], last]):
        left, top = (30, 150)[number % 2], 60 + 95 * number
        draw.rounded_rectangle((left, top, left + 260, top + 60), 20, (225, 225, 230))
        draw.text((left + 18, top + 16), f"{text} and so on", (0, 0, 0), font=font)
    return image


@cache
def scene(seed: int) -> Image.Image:
    """Soft shapes of all sizes under a little noise, as in a photo."""
    rng = np.random.default_rng(seed)
    pixels = np.full((480, 640, 3), 120.0)
    for side in (3, 8, 20, 50):
        coarse = Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8))
        pixels += (np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC)) - 127.0) / 3
    pixels += rng.normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 230).astype(np.uint8))


def saved(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "good": lambda image: saved(image, 90),
    "poor": lambda image: saved(image, 30),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice": lambda image: image.resize((image.width * 2, image.height * 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.08),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.12),
    "grey": lambda image: image.convert("L"),
    "both": lambda image: saved(image.resize((image.width // 2, image.height // 2)), 60),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_in_another_way_is_a_copy(change: str) -> None:
    for image in (scene(1), page(1), page(1, 40), chat("yes")):
        assert is_copy(look(image), look(CHANGES[change](image)))


@pytest.mark.parametrize("points", [10, 16, 24, 40])
def test_pages_of_other_text_are_no_copies(points: int) -> None:
    for ink, paper in ((20, 255), (130, 255), (210, 30)):
        first, other = look(page(1, points, ink, paper)), look(page(2, points, ink, paper))
        assert not is_copy(first, other) and compared(first, other)[0] >= 10


def test_one_other_message_of_a_chat_is_enough() -> None:
    assert not is_copy(look(chat("yes")), look(chat("never again")))


def test_other_views_are_no_copies() -> None:
    first = look(scene(1))
    assert not is_copy(first, look(scene(2)))
    assert not is_copy(first, look(scene(1).crop((0, 0, 480, 480))))  # of another shape
    moved = scene(1).crop((40, 30, 640, 480)).resize((640, 480))
    assert not is_copy(first, look(moved))


def test_pictures_of_nothing_are_compared_by_their_levels() -> None:
    def plain(level: int) -> Image.Image:
        return Image.new("L", (300, 300), level)

    assert is_copy(look(plain(200)), look(plain(204)))
    assert not is_copy(look(plain(200)), look(plain(60)))
