"""Hands cut out along what a teacher saw, and put into other rooms.

Hands before plain walls taught a trunk the walls. Here a hand takes a tenth to a third of a
photograph of anything: held up on an arm with a sleeve, of other skin, either way round, in the
light and the focus of the scene. Landmarks and outlines are rows of the teacher "hands"
(galago/train/nano/teach); "counts" says how many fingers a hand of any other photograph shows.
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from galago.train.nano.data.assets import Photo, PhotoStore
from galago.train.nano.teach.workers import read_photos

SHARES = (0.09, 0.36)  # of the picture that the hand's box takes
SPANS = (0.3, 0.9)  # of the side that a hand's box takes in a photograph as it was taken
CLOSE_UPS = "sign-language-digits"  # 100 px of a hand and one wall
SURE = 0.98  # a count is believed from here on; a score says that there is a hand at all
SEEN = 0.8
WRIST, KNUCKLE = 0, 9  # landmarks of a hand; the knuckle is the middle finger's


@dataclass(frozen=True)
class Cut:
    """One hand of a photograph: its fingers, its outline (PNG), and its landmarks, (21, 2) float
    shares of width and height, in the order of the teacher's hands."""

    photo: Photo
    fingers: int
    outline: bytes
    points: np.ndarray


def find_cuts(photos: Sequence[Photo], folder: Path) -> dict[int, list[Cut]]:
    """Of photographs of one counted hand those in which the teacher saw just that, by count."""
    cuts: dict[int, list[Cut]] = {n: [] for n in range(6)}
    for photo, row in read_photos(photos, folder, "hands"):
        hands = row["hands"]
        if len(hands) == 1 and hands[0]["score"] >= SEEN:
            points = np.array(hands[0]["points"], np.float64)[:, :2]
            outline = base64.b64decode(hands[0]["mask"])
            cut = Cut(photo, photo.info["fingers"], outline, points)
            cuts[cut.fingers].append(cut)
    return cuts


def find_counted(
    photos: Sequence[Photo], folder: Path
) -> tuple[list[tuple[Photo, int]], list[Photo]]:
    """Of photographs of anything: those with one hand whose count is sure, and those in which the
    teacher, at its most willing, found no hand."""
    counted, empty = [], []
    for photo, row in read_photos(photos, folder, "counts"):
        counts = row["counts"]
        if not counts:
            empty.append(photo)
        elif len(counts) == 1 and counts[0]["chance"] >= SURE:
            counted.append((photo, counts[0]["count"]))
    return counted, empty


def as_taken(
    cut: Cut, store: PhotoStore, side: int, rng: random.Random
) -> tuple[Image.Image, np.ndarray]:
    """The photograph itself about its hand, (side, side), and landmarks there, (21, 2) float px.

    A cut-out's look is learned before a hand's is: what was pasted in rooms was counted nearly
    always, real hands no better than before. So others are as somebody took them, nearer or
    farther, turned, stretched and either way round, black where the photograph ends.
    """
    picture = store.picture(cut.photo)
    at = cut.points * picture.size
    low, high = at.min(0), at.max(0)
    reach = max(float((high - low).max()), 1.0)
    scale = max(side * rng.uniform(*SPANS) / reach, side / max(picture.size))
    angle, stretch = np.deg2rad(rng.gauss(0, 12)), np.exp(rng.gauss(0, 0.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = scale * stretch * rng.choice((-1, 1))
    there = turn @ np.diag((across, scale / stretch))
    middle = (low + high) / 2
    room = np.minimum(side / 2, np.abs((at - middle) @ there.T).max(0) + 1)
    centre = np.array([rng.uniform(each, side - each) for each in room])
    back = np.linalg.inv(there)
    shift = middle - back @ centre
    page = picture.transform(
        (side, side),
        Image.Transform.AFFINE,
        (*back[0], shift[0], *back[1], shift[1]),
        Image.Resampling.BILINEAR,
    )
    return page, (at - middle) @ there.T + centre


def held_up(
    cut: Cut, store: PhotoStore, scene: Image.Image, rng: random.Random
) -> tuple[Image.Image, np.ndarray | None]:
    """The hand on the scene (square), on an arm that comes from the edge; and its landmarks there,
    (21, 2) float px, None where the outline is empty and no hand was put."""
    picture = store.picture(cut.photo)
    mask = Image.open(io.BytesIO(cut.outline)).convert("L").resize(picture.size)
    box = mask.getbbox()
    if box is None:
        return scene, None
    at = cut.points * picture.size - box[:2]
    hand, mask = picture.crop(box), mask.crop(box).filter(ImageFilter.GaussianBlur(0.7))
    side = scene.width
    share = rng.uniform(*SHARES)
    scale = side * (share / (hand.width * hand.height)) ** 0.5
    hand, mask, at = _resized(hand, mask, at, scale)
    if rng.random() < 0.5:
        hand = hand.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        at = np.array((hand.width, 0)) + at * (-1, 1)
    hand, mask, at = _turned(hand, mask, at, rng.gauss(0, 14))
    hand = _toned(hand, mask, scene, rng)
    # Mostly whole; a hand at the edge of a picture is one too.
    slack = 0.02 * side
    x = rng.uniform(-slack, max(-slack, side - hand.width + slack))
    y = rng.uniform(-slack, max(-slack, side - hand.height + slack))
    at = at + np.array((x, y))
    page = _arm(scene.copy(), hand, mask, at, rng)
    page.paste(hand, (int(x), int(y)), mask)
    return page, at


def _resized(
    hand: Image.Image, mask: Image.Image, at: np.ndarray, scale: float
) -> tuple[Image.Image, Image.Image, np.ndarray]:
    size = (max(4, round(hand.width * scale)), max(4, round(hand.height * scale)))
    return hand.resize(size), mask.resize(size), at * scale


def _turned(
    hand: Image.Image, mask: Image.Image, at: np.ndarray, degrees: float
) -> tuple[Image.Image, Image.Image, np.ndarray]:
    middle = np.array(hand.size) / 2
    angle = np.deg2rad(-degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    hand = hand.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    mask = mask.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    return hand, mask, (at - middle) @ turn.T + np.array(hand.size) / 2


def _toned(
    hand: Image.Image, mask: Image.Image, scene: Image.Image, rng: random.Random
) -> Image.Image:
    """Skin from dark to pale, drawn towards the light of the scene, in its focus."""
    array = np.asarray(hand, np.float32)
    inside = np.asarray(mask) > 128
    lightness = float(array[inside].mean()) if inside.any() else 128.0
    light = float(np.asarray(scene.resize((8, 8)), np.float32).mean())
    wanted = rng.uniform(55, 205) * (0.6 + 0.4 * light / 120)
    gain = np.clip(wanted / max(lightness, 8.0), 0.35, 2.6)
    tint = np.ones(3, np.float32)
    if rng.random() < 0.8 and inside.any():  # of a skin's colour, whatever the camera made of it
        red, blue = rng.uniform(1.12, 1.55), rng.uniform(0.58, 0.95)
        seen = array[inside].mean(0) + 1
        tint = np.array([red * seen[1] / seen[0], 1.0, blue * seen[1] / seen[2]], np.float32)
        tint = np.clip(tint, 0.6, 1.7) / tint.mean().clip(0.6, 1.7)
    hand = Image.fromarray(np.clip(array * gain * tint, 0, 255).astype(np.uint8))
    if rng.random() < 0.35:
        hand = hand.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.4)))
    return hand


def _arm(
    page: Image.Image,
    hand: Image.Image,
    mask: Image.Image,
    at: np.ndarray,
    rng: random.Random,
) -> Image.Image:
    """Skin from the wrist on, and mostly a sleeve over it, out of the picture."""
    wrist, knuckle = at[WRIST], at[KNUCKLE]
    away = wrist - knuckle
    palm = float(np.hypot(*away))
    if palm < 2:
        return page
    away = away / palm
    angle = rng.gauss(0, 0.25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    away, across = turn @ away, turn @ np.array([-away[1], away[0]])
    inside = np.asarray(hand)[np.asarray(mask) > 200]
    skin = tuple(int(v) for v in np.median(inside, axis=0)) if len(inside) else (150, 110, 90)
    far = 3.0 * page.width
    draw = ImageDraw.Draw(page)
    wide = palm * rng.uniform(0.30, 0.40)
    draw.polygon(
        _band(wrist - away * palm * 0.15, wrist + away * far, across, wide, wide * 2), skin
    )
    if rng.random() < 0.75:
        cuff = wrist + away * palm * rng.uniform(0.1, 1.4)
        cloth = tuple(rng.randint(10, 245) for _ in range(3))
        wide *= rng.uniform(1.15, 1.6)
        draw.polygon(_band(cuff, cuff + away * far, across, wide, wide * 2), cloth)
        shade = tuple(int(v * 0.8) for v in cloth)
        draw.polygon(_band(cuff, cuff + away * palm * 0.12, across, wide, wide), shade)
    return page


def _band(
    start: np.ndarray, end: np.ndarray, across: np.ndarray, first: float, last: float
) -> list[tuple[float, float]]:
    near, far = across * first, across * last
    corners = (start - near, start + near, end + far, end - far)
    return [(float(x), float(y)) for x, y in corners]
