"""Rendered text: notes and signs with a map of where each character stands.

A decoder's loss alone teaches a fresh encoder nothing about letters, so every rendered picture
carries a dense target: which character covers each small cell of the picture, and in which cell a
character has its centre. It can be read off any stage of the trunk.
"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CHARACTERS = string.ascii_letters + string.digits + ".,!?'-:&$%/()#@+\"=*"
CLASS_OF = {c: i + 1 for i, c in enumerate(CHARACTERS)}  # 0: no character
CELL = 16  # px; most letters are one to three cells wide
SIGNS = [
    "EXIT",
    "OPEN",
    "CLOSED",
    "STOP",
    "PUSH",
    "PULL",
    "NO_PARKING",
    "SALE",
    "CAFE",
    "PHARMACY",
    "BAKERY",
    "HOTEL",
    "TAXI",
    "BUS_STOP",
    "DANGER",
    "WARNING",
    "PRIVATE",
    "RECEPTION",
    "TOILETS",
    "NO_SMOKING",
    "ONE_WAY",
    "SLOW",
    "KEEP_LEFT",
    "WET_FLOOR",
    "FOR_RENT",
    "FOR_SALE",
    "LIBRARY",
    "SCHOOL",
    "POLICE",
    "TICKETS",
    "PLATFORM_2",
    "ROOM_101",
    "WELCOME",
    "THANK_YOU",
]


Box = tuple[int, float, float, float, float]  # class, x0, x1, y0, y1


@dataclass(frozen=True)
class Rendered:
    """A picture (side, side, 3) uint8, its lines, and per cell the class and the centre flag."""

    picture: np.ndarray
    text: str
    classes: np.ndarray  # (side/16, side/16) uint8
    centres: np.ndarray  # (side/16, side/16) bool
    font: str


@lru_cache(maxsize=8192)  # opening a compressed font costs as much as drawing with it
def open_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """A font file at a size in pixels, kept open."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)


def grain(rng: random.Random, height: int, width: int) -> np.ndarray:
    """(height, width) float32 of white noise, each at most 1024; a view of one kept field."""
    field = _grain()
    i, j = rng.randrange(len(field) - height), rng.randrange(len(field) - width)
    return field[i : i + height, j : j + width]


def words_line(rng: random.Random, words: Sequence[str], count: int) -> str:
    """A line of `count` words as people write them: lists, names, prices, times, shouting."""
    style = rng.random()
    if style < 0.12:
        return rng.choice(SIGNS).replace("_", " ")
    picked = [rng.choice(words) for _ in range(count)]
    if style < 0.30:
        picked[rng.randrange(count)] = _number(rng)
    line = " ".join(picked)
    if style > 0.82:
        line = line.upper()
    elif style > 0.60:
        line = line[:1].upper() + line[1:]
    elif style > 0.50:
        line = line.title()
    if rng.random() < 0.12:
        line += rng.choice(".!?:,")
    return line


def _number(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{rng.randrange(100)}",
            f"${rng.randrange(100)}.{rng.randrange(100):02}",
            f"{rng.randrange(24)}:{rng.randrange(60):02}",
            f"{rng.randrange(1, 29)}/{rng.randrange(1, 13)}",
            f"{rng.randrange(1000, 9999)}",
            f"{rng.randrange(5, 95, 5)}%",
            f"#{rng.randrange(99)}",
            f"{rng.randrange(2, 12)} x {rng.randrange(2, 12)}",
        )
    )


def random_line(rng: random.Random, most: int) -> str:
    """Letters without sense: the encoder must see every letter, not guess words."""
    line = "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(1, most)))
    return line if rng.random() < 0.5 else line.upper() if rng.random() < 0.5 else line.lower()


def render(
    lines: Sequence[str],
    font_path: str,
    rng: random.Random,
    side: int,
    background: Image.Image | None = None,
    dense: bool = False,
) -> Rendered:
    """Draw `lines` in one font at a random place, size, slant and light.

    `dense` fills the picture (smaller type, for teaching letters); otherwise the text takes a
    natural part of it. `background` is a photograph to write on; None draws paper.
    """
    size, widths, pitch = _fit(lines, font_path, rng, side, dense)
    font = open_font(font_path, size)
    block_w, block_h = max(widths), pitch * len(lines)
    paper, ink = _paper(rng, side, background)
    left = rng.uniform(4, max(4.1, side - block_w - 4))
    top = rng.uniform(2, max(2.1, side - block_h - 2))
    centred = rng.random() < 0.4
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    ascent = font.getmetrics()[0]
    boxes: list[Box] = []
    for row, line in enumerate(lines):
        x = left + ((block_w - widths[row]) / 2 if centred else 0.0)
        y = top + row * pitch + rng.uniform(-0.04, 0.04) * size
        draw.text((x, y), line, fill=255, font=font)
        boxes += letter_boxes(line, x, y + ascent, font)
    mask, boxes = _warp(mask, boxes, rng, side)
    picture = _compose(paper, ink, mask, rng)
    classes, centres = cells_of(boxes, side)
    return Rendered(picture, "\n".join(lines), classes, centres, font_path)


def letter_boxes(line: str, x: float, base: float, font: ImageFont.FreeTypeFont) -> list[Box]:
    """Where the characters that have a class stand, of a line that begins at x on a base line."""
    boxes, before = [], 0.0
    for i, c in enumerate(line):
        after = font.getlength(line[: i + 1])
        if c in CLASS_OF:
            boxes.append((CLASS_OF[c], x + before, x + after, base - 0.58 * font.size, base))
        before = after
    return boxes


def _fit(
    lines: Sequence[str], font_path: str, rng: random.Random, side: int, dense: bool
) -> tuple[int, list[float], int]:
    probe = open_font(font_path, 32)
    widest = max(probe.getlength(line) for line in lines) / 32
    spacing = rng.uniform(1.15, 1.5)
    largest = min((side - 10) / max(widest, 0.1), (side - 8) / (spacing * len(lines)))
    largest = min(largest, side * 0.42)
    low = max(14 if dense else 16, largest * (0.35 if dense else 0.5))
    size = int(min(largest, rng.uniform(low, max(low, largest))))
    size = max(size, 9)
    size -= size % max(1, size // 12)  # few sizes, so that opened fonts are met again
    font = open_font(font_path, size)
    return size, [font.getlength(line) for line in lines], max(int(size * spacing), 1)


def _paper(
    rng: random.Random, side: int, background: Image.Image | None
) -> tuple[Image.Image, tuple[int, int, int]]:
    if background is not None:
        paper = background.resize((side, side), Image.Resampling.BILINEAR)
        if rng.random() < 0.6:
            paper = paper.filter(ImageFilter.GaussianBlur(rng.uniform(1, 6)))
        mean = float(np.asarray(paper).mean())
        shade = rng.choice((0.25, 0.4))
        veil = (0, 0, 0) if mean < 128 else (255, 255, 255)
        paper = Image.blend(paper, Image.new("RGB", paper.size, veil), 0.35 + shade * rng.random())
        dark = mean >= 128
    else:
        dark = rng.random() < 0.75
        base = [rng.randint(170, 255) if dark else rng.randint(0, 90) for _ in range(3)]
        if rng.random() < 0.5:
            base = [int(np.mean(base))] * 3
        paper = Image.new("RGB", (side, side), tuple(base))
        _decorate(paper, rng, dark)
    low, high = (0, 95) if dark else (175, 255)
    ink = [rng.randint(low, high) for _ in range(3)]
    if rng.random() < 0.4:
        ink = [ink[0]] * 3
    return paper, (ink[0], ink[1], ink[2])


def _decorate(paper: Image.Image, rng: random.Random, dark: bool) -> None:
    """Ruled or squared paper, or a frame around it; most stays plain."""
    draw = ImageDraw.Draw(paper)
    side = paper.width
    kind = rng.random()
    step = rng.randint(side // 12, side // 6)
    pale = (150, 170, 205) if dark else (110, 110, 110)
    if kind < 0.18:
        for y in range(step, side, step):
            draw.line((0, y, side, y), fill=pale)
    elif kind < 0.26:
        for y in range(step, side, step):
            draw.line((0, y, side, y), fill=pale)
            draw.line((y, 0, y, side), fill=pale)
    elif kind < 0.34:
        edge = rng.randint(1, side // 24 + 2)
        draw.rectangle((0, 0, side - 1, side - 1), outline=pale, width=edge)


def _warp(
    mask: Image.Image, boxes: list[Box], rng: random.Random, side: int
) -> tuple[Image.Image, list[Box]]:
    """A small rotation, shear and scale about the centre; boxes follow their centres."""
    if rng.random() < 0.35:
        return mask, boxes
    turn, shear = rng.gauss(0, 0.05), rng.gauss(0, 0.08)
    forward = np.array([[1.0, shear], [0.0, 1.0]]) @ np.array(
        [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    )
    forward *= rng.uniform(0.9, 1.0)
    back = np.linalg.inv(forward)
    c = side / 2
    shift = np.array([c, c]) - back @ np.array([c, c])
    data = (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1])
    mask = mask.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    moved = []
    for k, x0, x1, y0, y1 in boxes:
        mx, my = forward @ np.array([(x0 + x1) / 2 - c, (y0 + y1) / 2 - c]) + c
        w, h = (x1 - x0) * forward[0, 0], (y1 - y0) * forward[1, 1]
        moved.append((k, mx - w / 2, mx + w / 2, my - h / 2, my + h / 2))
    return mask, moved


def _compose(
    paper: Image.Image, ink: tuple[int, int, int], mask: Image.Image, rng: random.Random
) -> np.ndarray:
    if rng.random() < 0.35:
        mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    page = paper.copy()
    page.paste(ink, (0, 0), mask)
    array: np.ndarray = np.asarray(page, dtype=np.float32)
    side = array.shape[0]
    if rng.random() < 0.5:  # uneven light
        ends = rng.uniform(0.65, 1.0), rng.uniform(0.8, 1.1)
        slope: np.ndarray = np.linspace(*ends, side, dtype=np.float32)
        shape = (side, 1, 1) if rng.random() < 0.5 else (1, side, 1)
        array = np.multiply(array, slope.reshape(shape), dtype=np.float32)
    if rng.random() < 0.6:
        array = array + grain(rng, side, side)[..., None] * rng.uniform(1, 14)
    return np.clip(array, 0, 255).astype(np.uint8)


def cells_of(boxes: list[Box], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels -> the class and the centre flag of each cell, as Rendered has them."""
    rows = columns = side // CELL
    classes = np.zeros((rows, columns), np.uint8)
    centres = np.zeros((rows, columns), bool)
    for k, x0, x1, y0, y1 in boxes:
        middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
        row, column = int(middle_y // CELL), int(middle_x // CELL)
        if not (0 <= row < rows and 0 <= column < columns):
            continue
        r0, r1 = _span(y0, y1, CELL, rows, row)
        c0, c1 = _span(x0, x1, CELL, columns, column)
        classes[r0:r1, c0:c1] = k
        classes[row, column] = k
        centres[row, column] = True
    return classes, centres


def _span(low: float, high: float, cell: int, count: int, centre: int) -> tuple[int, int]:
    """The cells whose middle lies in [low, high), at least the centre's own."""
    first = max(int(np.ceil(low / cell - 0.5)), 0)
    last = min(int(np.ceil(high / cell - 0.5)), count)
    return (first, last) if last > first else (centre, centre + 1)


def find_fonts(folder: Path, names: Sequence[str]) -> list[str]:
    """The font files of the families `names` under `folder` (fontsource packages or TTF trees)."""
    found: list[str] = []
    for name in names:
        pattern = f"{name}/files/{name}-latin-[4567]00-normal.woff2"
        files = sorted(folder.glob(pattern)) or sorted(folder.glob(f"**/{name}.ttf"))
        found += [str(f) for f in files]
    return found
