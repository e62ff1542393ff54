"""Notes as a camera sees them: a page with folds and shadows, from an angle, on a table.

render.py draws on the picture itself, flat; of photographs of real notes a model taught by it alone
read half of the characters wrong. Here a page is written on, then laid into a scene by a
homography, and what light, folds and the lens do comes after. Some papers and lights are held out
("apart"), as are fonts and scenes: the caller passes those.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from galago.train.nano.data.render import (
    Box,
    Rendered,
    cells_of,
    grain,
    letter_boxes,
    open_font,
)

Colour = tuple[int, int, int]
Corners = np.ndarray  # (4, 2) float: left top, right top, right bottom, left bottom

PAPERS = ("plain", "ruled", "squared", "sticky", "card", "cardboard", "board")
LIGHTS = ("even", "side", "corner", "shade")
APART_PAPERS = ("legal", "dotted", "kraft")
APART_LIGHTS = ("lamp", "blinds")
PENS: tuple[Colour, ...] = ((28, 38, 110), (20, 20, 24), (165, 28, 34), (70, 70, 78), (12, 84, 60))


def photographed(
    lines: Sequence[str],
    font_path: str,
    rng: random.Random,
    side: int,
    scene: Image.Image,
    *,
    apart: bool = False,
) -> Rendered:
    """`lines` on a page in a `scene` (any size), as Rendered; the same for the same `rng`."""
    page, boxes = written(
        lines, font_path, rng, side, rng.choice(APART_PAPERS if apart else PAPERS)
    )
    page = creased(page, rng)
    corners = placed(page.size, boxes, rng, side)
    ground = scene.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        ground = ground.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4)))
    picture = laid(page, ground, corners, rng)
    picture = lit(picture, rng, rng.choice(APART_LIGHTS if apart else LIGHTS))
    picture = through_a_lens(picture, rng)
    matrix = homography(page.size, corners)
    moved = [_moved(box, matrix) for box in boxes]
    classes, centres = cells_of(moved, side)
    return Rendered(np.asarray(picture), "\n".join(lines), classes, centres, font_path)


def written(
    lines: Sequence[str], font_path: str, rng: random.Random, side: int, paper: str
) -> tuple[Image.Image, list[Box]]:
    """A page with the lines on it, and where each character stands on it."""
    probe = open_font(font_path, 32)
    widest = max(probe.getlength(line) for line in lines) / 32
    spacing = rng.uniform(1.15, 1.6)
    # The page is a little smaller than the picture, so that letters keep their pixels.
    width, margin = side, side * rng.uniform(0.04, 0.1)
    size = min((width - 2 * margin) / max(widest, 0.1), side * 0.32)
    size *= rng.uniform(0.75, 1.0)
    size = max(9, int(size) - int(size) % max(1, int(size) // 12))
    font = open_font(font_path, size)
    pitch = size * spacing
    least = pitch * len(lines) + 2 * margin
    height = int(max(least, width * rng.uniform(0.45, 1.1)))
    page = PAPER[paper](width, height, pitch, rng)
    mask = Image.new("L", page.size)
    draw = ImageDraw.Draw(mask)
    ascent = font.getmetrics()[0]
    left = rng.uniform(margin, max(margin, width - margin - widest * size))
    top = rng.uniform(margin, max(margin, height - margin - pitch * len(lines)))
    boxes: list[Box] = []
    for row, line in enumerate(lines):
        x = left + abs(rng.gauss(0, 0.02)) * size
        y = top + row * pitch + rng.gauss(0, 0.03) * size
        draw.text((x, y), line, fill=255, font=font)
        boxes += letter_boxes(line, x, y + ascent, font)
    if rng.random() < 0.4:  # a broad pen, or one that is nearly empty
        mask = mask.filter(ImageFilter.MaxFilter(3)) if size > 30 else mask
    strength = rng.uniform(0.7, 1.0)
    dark = float(np.asarray(page).mean()) > 110
    pen = rng.choice(PENS) if dark else tuple(rng.randint(215, 255) for _ in range(3))
    page.paste(pen, (0, 0), mask.point(lambda v: int(v * strength)))
    return page, boxes


def _sheet(width: int, height: int, colour: Colour) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def _pale(rng: random.Random) -> Colour:
    white = rng.randint(222, 255)
    return (white, white - rng.randint(0, 8), white - rng.randint(0, 22))


def _plain(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    return _sheet(width, height, _pale(rng))


def _lined(width: int, height: int, pitch: float, rng: random.Random, both: bool) -> Image.Image:
    page = _sheet(width, height, _pale(rng))
    draw = ImageDraw.Draw(page)
    step = pitch if rng.random() < 0.6 else pitch * rng.uniform(0.4, 0.8)
    blue = (150, 175, 215) if rng.random() < 0.7 else (190, 190, 190)
    for n in range(1, int(height / step) + 1):
        draw.line((0, n * step, width, n * step), fill=blue)
    for n in range(1, int(width / step) + 1) if both else ():
        draw.line((n * step, 0, n * step, height), fill=blue)
    if not both and rng.random() < 0.4:
        margin = width * 0.08
        draw.line((margin, 0, margin, height), fill=(225, 130, 130), width=2)
    return page


def _ruled(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    return _lined(width, height, pitch, rng, both=False)


def _squared(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    return _lined(width, height, pitch, rng, both=True)


def _sticky(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    page = _sheet(
        width,
        height,
        rng.choice(((252, 236, 110), (255, 176, 200), (170, 226, 180), (160, 210, 245))),
    )
    ImageDraw.Draw(page).rectangle((0, 0, width, int(height * 0.12)), fill=(0, 0, 0, 0))
    return Image.blend(page, _sheet(width, height, page.getpixel((1, height - 1))), 0.93)  # type: ignore[arg-type]


def _card(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    page = _sheet(width, height, tuple(rng.randint(150, 255) for _ in range(3)))  # type: ignore[arg-type]
    edge = rng.randint(2, 8)
    colour = tuple(rng.randint(60, 200) for _ in range(3))
    ImageDraw.Draw(page).rectangle((4, 4, width - 5, height - 5), outline=colour, width=edge)
    return page


def _cardboard(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    return _noisy(_sheet(width, height, (188, 152, 108)), rng, 9)


def _board(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    dark = rng.random() < 0.5
    return _noisy(_sheet(width, height, (38, 58, 48) if dark else (240, 242, 244)), rng, 4)


def _legal(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    page = _sheet(width, height, (250, 244, 165))
    draw = ImageDraw.Draw(page)
    for n in range(1, int(height / pitch) + 1):
        draw.line((0, n * pitch, width, n * pitch), fill=(130, 160, 190))
    for x in (0.07, 0.085):
        draw.line((width * x, 0, width * x, height), fill=(215, 110, 100), width=2)
    return page


def _dotted(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    page = _sheet(width, height, (246, 242, 232))
    draw = ImageDraw.Draw(page)
    step = max(8.0, pitch / 2)
    for i in range(1, int(width / step) + 1):
        for j in range(1, int(height / step) + 1):
            draw.ellipse((i * step - 1, j * step - 1, i * step + 1, j * step + 1), fill=(170,) * 3)
    return page


def _kraft(width: int, height: int, pitch: float, rng: random.Random) -> Image.Image:
    return _noisy(_sheet(width, height, (205, 176, 138)), rng, 14)


PAPER: dict[str, Callable[[int, int, float, random.Random], Image.Image]] = {
    "plain": _plain,
    "ruled": _ruled,
    "squared": _squared,
    "sticky": _sticky,
    "card": _card,
    "cardboard": _cardboard,
    "board": _board,
    "legal": _legal,
    "dotted": _dotted,
    "kraft": _kraft,
}


def _noisy(page: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    array = np.asarray(page, np.float32)
    noise = grain(rng, page.height, page.width)
    return _image(array + noise[..., None] * strength)


def _image(array: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))


def creased(page: Image.Image, rng: random.Random) -> Image.Image:
    """Folds (straight, dark on one side, bright on the other) or crumples; half stay smooth."""
    chance = rng.random()
    if chance < 0.5:
        return page
    width, height = page.size
    shade: np.ndarray = np.ones((height, width), np.float32)
    if chance < 0.8:
        for _ in range(rng.randint(1, 2)):
            along = width if rng.random() < 0.5 else height
            at, spread = rng.uniform(0.25, 0.75) * along, along * rng.uniform(0.02, 0.12)
            away = (np.arange(along, dtype=np.float32) - at) / spread
            relief = 1 - rng.uniform(0.08, 0.3) * np.sign(away) * np.exp(-np.abs(away))
            shade = shade * (relief[None, :] if along == width else relief[:, None])
    else:  # crumpled: short creases in every direction
        y, x = np.mgrid[:height, :width].astype(np.float32) / max(width, height)
        for _ in range(rng.randint(7, 12)):
            angle, depth = rng.uniform(0, np.pi), rng.uniform(0.05, 0.16)
            dx, dy = x - rng.random(), y - rng.random()
            across = dx * math.cos(angle) + dy * math.sin(angle)
            along = dy * math.cos(angle) - dx * math.sin(angle)
            reach = np.exp(-np.abs(across) / rng.uniform(0.02, 0.08) - (along / 0.35) ** 2)
            shade -= depth * np.sign(across) * reach
    return _image(np.asarray(page, np.float32) * shade[..., None])


def placed(size: tuple[int, int], boxes: Sequence[Box], rng: random.Random, side: int) -> Corners:
    """Where the page's corners come to lie: turned, from an angle, all letters in the picture."""
    for largest in (1.1, 1.0, 0.9, 0.8):
        corners = _thrown(size, rng, side, largest)
        matrix = homography(size, corners)
        ends = np.array([_moved(box, matrix)[1:] for box in boxes]).reshape(-1, 4)
        if not len(ends) or (ends.min() > 1 and ends.max() < side - 1):
            return corners
    width, height = np.array(size) * 0.8 * side / max(size)
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    return flat + (side - np.array([width, height])) / 2


def _thrown(size: tuple[int, int], rng: random.Random, side: int, largest: float) -> Corners:
    width, height = size
    scale = side * rng.uniform(0.72, largest) / max(width, height)
    w, h = width * scale, height * scale
    corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2
    angle = rng.gauss(0, 0.10)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = corners @ turn.T
    # From an angle the far side shrinks; corners lift by a little besides.
    lean = rng.uniform(-0.16, 0.16), rng.uniform(-0.16, 0.16)
    depth = 1 + corners[:, 0] / side * lean[0] * 2 + corners[:, 1] / side * lean[1] * 2
    corners = corners / depth[:, None]
    corners += np.array([[rng.gauss(0, 0.008) * side for _ in range(2)] for _ in range(4)])
    room = np.maximum(0, side - (corners.max(0) - corners.min(0))) / 2
    shift = np.array([rng.uniform(-r, r) for r in room])
    middle = (corners.max(0) + corners.min(0)) / 2
    return corners - middle + side / 2 + shift


def homography(size: tuple[int, int], corners: Corners) -> np.ndarray:
    """(3, 3): from points of a page to points of the picture."""
    width, height = size
    rows, values = [], []
    for (x, y), (u, v) in zip(
        ((0, 0), (width, 0), (width, height), (0, height)), corners, strict=True
    ):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved = np.linalg.solve(np.array(rows, float), np.array(values, float))
    return np.append(solved, 1.0).reshape(3, 3)


def laid(
    page: Image.Image, ground: Image.Image, corners: Corners, rng: random.Random
) -> Image.Image:
    """The page on the ground, with the soft shadow that it casts."""
    back = np.linalg.inv(homography(page.size, corners))
    data = tuple((back / back[2, 2]).ravel()[:8])
    seen = page.transform(ground.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)
    mask = Image.new("L", ground.size)
    ImageDraw.Draw(mask).polygon([tuple(p) for p in corners], fill=255)
    far = rng.uniform(1, 7)
    shadow = mask.filter(ImageFilter.BoxBlur(far))
    offset = (int(rng.uniform(-far, far)), int(rng.uniform(0, far)))
    moved = Image.new("L", ground.size)
    moved.paste(shadow, offset)
    depth = rng.uniform(0.2, 0.65)
    ground = Image.composite(
        Image.new("RGB", ground.size), ground, moved.point(lambda v: int(v * depth))
    )
    ground.paste(seen, (0, 0), mask)
    return ground


def lit(picture: Image.Image, rng: random.Random, light: str) -> Image.Image:
    """Uneven light, the shadow of somebody's hand or phone, the colour of the lamp."""
    # Light changes slowly: a quarter of the points is enough.
    x, y = np.meshgrid(*[np.linspace(-1, 1, picture.width // 4, dtype=np.float32)] * 2)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    if light == "side":
        gain = 1 - rng.uniform(0.1, 0.4) * (along + 1) / 2
    elif light == "corner":
        gain = 1.1 - rng.uniform(0.2, 0.5) * np.hypot(x - rng.choice((-1, 1)), y + 1) / 2.5
    elif light == "shade":
        edge = along - rng.uniform(-0.4, 0.7)
        gain = 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(-edge * rng.uniform(6, 40)))
    elif light == "lamp":
        away = np.hypot(x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5))
        gain = 0.55 + 0.6 * np.exp(-((away / rng.uniform(0.5, 0.9)) ** 2))
    elif light == "blinds":
        bars = np.sin(along * rng.uniform(9, 18) + rng.uniform(0, 6))
        gain = 0.85 + rng.uniform(0.1, 0.2) * np.clip(bars * 3, -1, 1)
    else:
        gain = np.ones_like(x)
    warm = rng.gauss(0, 0.05)
    bright = rng.uniform(0.65, 1.08)
    tint = np.array([bright * (1 + warm), bright, bright * (1 - warm)], np.float32)
    wide = Image.fromarray(gain.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    return _image(np.asarray(picture, np.float32) * (np.asarray(wide)[..., None] * tint))


def through_a_lens(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Out of focus, or shaken; grain; what JPEG leaves."""
    chance = rng.random()
    if chance < 0.35:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    elif chance < 0.45:
        length = rng.choice((3, 5))
        line = [0] * length**2
        for n in range(length):
            line[n * length + length // 2 if length % 2 and chance < 0.4 else n * (length + 1)] = 1
        kernel = ImageFilter.Kernel((length, length), line)
        picture = picture.filter(kernel)
    noise = grain(rng, picture.height, picture.width)[..., None] * rng.uniform(0, 9)
    picture = _image(np.asarray(picture, np.float32) + noise)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=rng.randint(35, 92))
    return Image.open(stream).convert("RGB")


def _moved(box: Box, matrix: np.ndarray) -> Box:
    """Where a character's box lies in the picture, by its middle and the length of its edges."""
    kind, x0, x1, y0, y1 = box
    at = np.array(
        [((x0 + x1) / 2, (y0 + y1) / 2, 1), (x0, (y0 + y1) / 2, 1), (x1, (y0 + y1) / 2, 1)]
        + [((x0 + x1) / 2, y, 1) for y in (y0, y1)]
    )
    seen = at @ matrix.T
    seen = seen[:, :2] / seen[:, 2:]
    (mx, my), wide, high = seen[0], seen[1] - seen[2], seen[3] - seen[4]
    w, h = float(np.hypot(*wide)) / 2, float(np.hypot(*high)) / 2
    return (kind, mx - w, mx + w, my - h, my + h)
