"""Pictures of many kinds, by which 8-bit vision is checked on a model's own weights.

Twenty are galago's examples: photographs of things, a hand, a drawing, a note. Twelve are drawn
here, as those show single things: pages, tables, charts, plans, screens, landscapes, the night, and
what no camera sees. None of them set the ranges (galago/convert/calibrate.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from galago.errors import OptionError
from galago.media import images
from galago.places import EXAMPLES

__all__ = ["PICTURES", "pictures"]

PICTURES = 32
_SIDE = 1024
_WORDS = [
    "The",
    "note",
    "says:",
    "milk,",
    "bread,",
    "two",
    "apples.",
    "Invoice",
    "no.",
    "20417,",
    "payable",
    "within",
    "30",
    "days.",
    "Gate",
    "B12,",
    "boarding",
    "18:45.",
    "Wet",
    "paint.",
    "Total",
    "1,204.50.",
    "Keep",
    "out",
    "of",
    "reach",
    "of",
    "children.",
]
_INK, _PAPER = (20, 20, 30), (250, 249, 244)
_COLOURS = ((200, 60, 50), (50, 120, 200), (70, 160, 80), (230, 170, 40), (120, 80, 160))


def pictures() -> Iterator[Image.Image]:
    """All of them, in RGB; OptionError where galago's examples are missing."""
    files = sorted([*EXAMPLES.glob("*.png"), *EXAMPLES.glob("*.jpg")])
    files += sorted(EXAMPLES.glob("album/*.jpg"))
    if len(files) + len(_DRAWN) != PICTURES:
        raise OptionError(f"galago's examples are not whole: {EXAMPLES}")
    for path in files:
        yield images.open_image(path)
    for number, draw in enumerate(_DRAWN):
        yield draw(np.random.default_rng(number))


def _sheet(colour: tuple[int, int, int] = _PAPER) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (_SIDE, _SIDE), colour)
    return sheet, ImageDraw.Draw(sheet)


def _page(size: int, rng: np.random.Generator) -> Image.Image:
    """Text in lines, as of a letter or a book."""
    sheet, pen = _sheet()
    font = ImageFont.load_default(size)
    words = itertools.cycle(_WORDS[int(rng.integers(len(_WORDS))) :] + _WORDS)
    for top in range(size, _SIDE - 2 * size, size * 3 // 2):
        left = 50.0
        while left < _SIDE - 8 * size:
            word = next(words)
            pen.text((left, top), word, _INK, font)
            left += pen.textlength(word + " ", font)
    return sheet


def _form(rng: np.random.Generator) -> Image.Image:
    """A table of numbers."""
    sheet, pen = _sheet()
    font = ImageFont.load_default(26)
    for row, column in itertools.product(range(14), range(5)):
        left, top = 40 + column * 190, 40 + row * 68
        shade = (226, 232, 240) if row % 2 else _PAPER
        pen.rectangle((left, top, left + 190, top + 68), shade, (120, 120, 120), 2)
        text = _WORDS[row + column] if column == 0 else f"{rng.uniform(1, 9999):,.2f}"
        pen.text((left + 10, top + 18), text, _INK, font)
    return sheet


def _bars(rng: np.random.Generator) -> Image.Image:
    """A chart of bars, with a line over them."""
    sheet, pen = _sheet((255, 255, 255))
    heights = rng.uniform(80, 800, 12)
    tops = [(90 + 76 * number, 930 - height) for number, height in enumerate(heights)]
    for number, (left, top) in enumerate(tops):
        pen.rectangle((left - 26, top, left + 26, 930), _COLOURS[number % 5])
    pen.line(tops, _INK, 5)
    pen.line([(50, 40), (50, 930), (990, 930)], _INK, 4)
    return sheet


def _plan(rng: np.random.Generator) -> Image.Image:
    """Lines, polygons and names, as on a map."""
    sheet, pen = _sheet((233, 229, 220))
    for number in range(26):
        middle, around = rng.uniform(0, _SIDE, 2), rng.uniform(-150, 150, (6, 2))
        pen.polygon([tuple(middle + one) for one in around], _COLOURS[number % 5], (90, 90, 90))
    for _ in range(14):
        pen.line([tuple(one) for one in rng.uniform(0, _SIDE, (3, 2))], (255, 255, 255), 12)
    font = ImageFont.load_default(24)
    for word, place in zip(_WORDS[:12], rng.uniform(40, 900, (12, 2)), strict=True):
        pen.text(tuple(place), word, _INK, font)
    return sheet


def _screen(rng: np.random.Generator) -> Image.Image:
    """Windows with bars and buttons."""
    sheet, pen = _sheet((40, 44, 60))
    font = ImageFont.load_default(20)
    for number, (left, top) in enumerate(rng.uniform(0, 560, (5, 2))):
        box = (left, top, left + 440, top + 340)
        pen.rounded_rectangle(box, 14, (245, 245, 248), (150, 150, 160), 2)
        pen.rectangle((left, top + 14, left + 440, top + 52), _COLOURS[number])
        for line in range(8):
            pen.text(
                (left + 20, top + 70 + 30 * line), " ".join(_WORDS[line : line + 4]), _INK, font
            )
    return sheet


def _land(rng: np.random.Generator) -> Image.Image:
    """Sky, hills and a sun, without a sharp edge in the sky."""
    down = np.linspace(0, 1, _SIDE)[:, None, None]
    sky = np.array([90, 140, 210]) * (1 - down) + np.array([240, 220, 190]) * down
    pixels = np.broadcast_to(sky, (_SIDE, _SIDE, 3)) + rng.normal(0, 3, (_SIDE, _SIDE, 3))
    sheet = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(sheet)
    pen.ellipse((690, 120, 830, 260), (255, 244, 200))
    across = np.arange(0, _SIDE + 1, 8)
    for number in range(4):
        ridge = 500 + 120 * number + 60 * np.sin(across / rng.uniform(60, 200) + number)
        hill = [(0, _SIDE), *zip(across.tolist(), ridge.tolist(), strict=True), (_SIDE, _SIDE)]
        pen.polygon(hill, (60 - 12 * number, 120 - 20 * number, 70 - 12 * number))
    return sheet.filter(ImageFilter.GaussianBlur(1.5))


def _night(rng: np.random.Generator) -> Image.Image:
    """Lights in the dark, with a sensor's noise."""
    sheet, pen = _sheet((8, 9, 14))
    for left, top, wide in rng.uniform((0, 0, 2), (_SIDE, _SIDE, 16), (60, 3)):
        pen.ellipse((left - wide, top - wide, left + wide, top + wide), (250, 220, 150))
    dark = np.asarray(sheet.filter(ImageFilter.GaussianBlur(3)), np.float64)
    return Image.fromarray((dark + rng.normal(0, 9, dark.shape)).clip(0, 255).astype(np.uint8))


def _cells(cell: int, rng: np.random.Generator) -> Image.Image:
    """Squares of random colours: of one pixel they are noise."""
    few = rng.integers(0, 256, (_SIDE // cell, _SIDE // cell, 3), np.uint8)
    return Image.fromarray(few).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)


def _ramp(rng: np.random.Generator) -> Image.Image:
    """One colour that becomes another."""
    first, second = rng.uniform(0, 255, (2, 3))
    share = np.add.outer(np.linspace(0, 0.5, _SIDE), np.linspace(0, 0.5, _SIDE))[..., None]
    return Image.fromarray((first * (1 - share) + second * share).astype(np.uint8))


_DRAWN: tuple[Callable[[np.random.Generator], Image.Image], ...] = (
    partial(_page, 18),
    partial(_page, 40),
    partial(_page, 96),
    _form,
    _bars,
    _plan,
    _screen,
    _land,
    _night,
    partial(_cells, 64),
    partial(_cells, 1),
    _ramp,
)
