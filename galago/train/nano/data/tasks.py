"""Samples of the four tasks: objects, fingers, emoji, text. Each a picture and what is true of it.

Every sample is a pure function of a `random.Random`, so a batch is a function of (seed, step) and
an interrupted run goes on with the very batches it would have seen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from galago.train.nano.data import render
from galago.train.nano.data.assets import (
    Photo,
    PhotoStore,
    emoji_label,
    emoji_names,
    find_words,
    font_families,
    load_emoji,
)

KINDS = ("object", "fingers", "emoji", "text", "scene")
SHORT_LINE = 12  # letters and spaces on a line of a note
PLAIN_WALLS = ("finger-counting", "sign-language-digits")
IGNORED = -100  # torch's cross_entropy skips it


@dataclass(frozen=True)
class Sample:
    """`picture` (side, side, 3) uint8; `answer` is the bare truth ("sunflower", "3", the text)."""

    kind: str
    picture: np.ndarray
    answer: str
    label: int = IGNORED  # index among the kind's classes
    photo: int = -1  # row in the photo store, for teacher features
    cells: render.Rendered | None = field(default=None, repr=False)
    present: bool = True  # False where a question about fingers meets a picture without a hand
    names: tuple[str, ...] = ()  # of what a scene shows, the chief one first
    nouns: tuple[int, ...] = ()  # those of them that the read-out has
    joints: np.ndarray | None = field(default=None, repr=False)  # (21, 2) px: a hand's landmarks


@dataclass
class Tasks:
    """All samples of one split, "train" or "val".

    `cache` holds what assets.build_* wrote, `fonts_folder` is npm's @fontsource.
    """

    cache: Path
    fonts_folder: Path
    split: str
    masks: dict[int, Image.Image] = field(default_factory=dict, repr=False)  # by photo offset

    @cached_property
    def store(self) -> PhotoStore:
        return PhotoStore(self.cache)

    @cached_property
    def rows(self) -> dict[int, int]:
        return {photo.offset: i for i, photo in enumerate(self.store.photos)}

    @cached_property
    def labels(self) -> list[str]:
        return sorted({p.info["label"] for p in self.store.select("object", "train")})

    @cached_property
    def label_index(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}

    @cached_property
    def nouns(self) -> list[str]:
        """What a read-out of scenes would tell apart: none here (wide.py)."""
        return []

    @cached_property
    def objects(self) -> list[Photo]:
        return self.store.select("object", self.split)

    @cached_property
    def scenes(self) -> list[Photo]:
        """What hands, emoji and text stand on: training photographs, whatever the split."""
        return self.store.select("object", "train") + self.store.select("background", "train") * 40

    @cached_property
    def hands(self) -> dict[int, list[Photo]]:
        by_count: dict[int, list[Photo]] = {n: [] for n in range(6)}
        for photo in self.store.select("fingers", self.split):
            by_count[photo.info["fingers"]].append(photo)
        return by_count

    @cached_property
    def emoji(self) -> tuple[np.ndarray, np.ndarray, list[int], list[str]]:
        held = load_emoji(self.cache)
        return held.pictures, held.names, held.select(self.split), emoji_names()

    @cached_property
    def fonts(self) -> list[list[str]]:
        families = font_families(self.fonts_folder, self.split)
        found = [render.find_fonts(self.fonts_folder, [family]) for family in families]
        return [f for f in found if f]

    @cached_property
    def words(self) -> list[str]:
        return find_words(render.CLASS_OF)

    def sample(self, kind: str, rng: random.Random, side: int) -> Sample:
        return getattr(self, f"_{kind}")(rng, side)  # type: ignore[no-any-return]

    def _object(self, rng: random.Random, side: int) -> Sample:
        # Half uniform over pictures, half over labels: rare objects count too.
        photo = rng.choice(self.objects)
        if rng.random() < 0.5:
            photo = rng.choice(rng.choice(self.by_label))
        picture = cropped(self.store.picture(photo), rng, 0.45)
        return self.object_sample(photo, jitter(squared(picture, side, rng), rng))

    @cached_property
    def by_label(self) -> list[list[Photo]]:
        """The split's photographs by label; rare labels have none held out."""
        groups: dict[str, list[Photo]] = {label: [] for label in self.labels}
        for photo in self.objects:
            groups[photo.info["label"]].append(photo)
        return [group for group in groups.values() if group]

    def object_sample(self, photo: Photo, picture: Image.Image) -> Sample:
        label = photo.info["label"]
        row = self.rows[photo.offset]
        return Sample("object", np.asarray(picture), label, self.label_index[label], row)

    def _fingers(self, rng: random.Random, side: int) -> Sample:
        count = rng.randrange(6)
        if count == 0 and rng.random() < 0.25:  # no hand at all
            scene = self.store.picture(rng.choice(self.scenes))
            picture = jitter(squared(cropped(scene, rng, 0.4), side, rng), rng)
            return Sample("fingers", np.asarray(picture), "0", 0, present=False)
        photo = rng.choice(self.hands[count])
        picture = self.store.picture(photo)
        plain = photo.info.get("source") in PLAIN_WALLS
        if plain and rng.random() < 0.6:
            scene = squared(
                cropped(self.store.picture(rng.choice(self.scenes)), rng, 0.4), side, rng
            )
            if photo.offset not in self.masks:
                self.masks[photo.offset] = hand_mask(picture)
            dim = photo.info.get("source") == "finger-counting"
            picture = _paste_hand(picture, self.masks[photo.offset], scene, rng, dim)
        else:
            picture = _turn(picture, rng, 18)
            picture = squared(cropped(picture, rng, 0.75), side, rng)
        if rng.random() < 0.15:  # skin and light of few people: shape must do without colour
            picture = picture.convert("L").convert("RGB")
        return Sample("fingers", np.asarray(jitter(picture, rng)), str(count), count)

    def _emoji(self, rng: random.Random, side: int) -> Sample:
        pictures, names, chosen, spelled = self.emoji
        row = rng.choice(chosen)
        icon = _recoloured(Image.fromarray(pictures[row]), rng)
        # By itself an emoji is cut close: half of them fill the page, where most errors were.
        size = int(side * rng.uniform(*rng.choice(((0.45, 1.0), (0.8, 1.0)))))
        icon = icon.resize((size, size), Image.Resampling.BILINEAR)
        icon = icon.rotate(rng.gauss(0, 8), Image.Resampling.BILINEAR)
        page = _plain(side, rng)
        if rng.random() < 0.2:
            scene = self.store.picture(rng.choice(self.scenes)).resize((side, side))
            page = scene.filter(ImageFilter.GaussianBlur(rng.uniform(3, 8)))
        at = (rng.randint(0, side - size), rng.randint(0, side - size))
        page.paste(icon, at, icon)
        name = int(names[row])
        picture = np.asarray(jitter(page, rng, 0.6))
        return Sample("emoji", picture, emoji_label(spelled[name]), name)

    def _text(self, rng: random.Random, side: int) -> Sample:
        """Words and senseless letters, large to small; lines are short where the picture is.

        Letters of eight pixels taught a fresh trunk nothing: most must be as large as on a note.
        """
        dense = rng.random() < 0.2
        longest = side // (18 if dense else 21)  # letters a line
        lines = []
        for _ in range(rng.randint(1, max(2, side // 64))):
            if rng.random() < 0.5:
                lines.append(render.random_line(rng, longest))
            else:
                lines.append(self._short_line(rng, rng.choice((1, 1, 2)), longest))
        return self.text_sample(lines, rng, side, dense)

    def _short_line(self, rng: random.Random, words: int, longest: int) -> str:
        """So many words, or one where they would be too long."""
        line = render.words_line(rng, self.words, words)
        while len(line) > longest:
            line = render.words_line(rng, self.words, 1)
        return line

    def _note(self, rng: random.Random, side: int) -> Sample:
        """One to four words on one to four short lines: what the model card's figures speak of."""
        count = rng.randint(1, 4)
        lines: list[str] = []
        while count > 0:
            take = rng.randint(1, min(count, 2))
            lines.append(self._short_line(rng, take, SHORT_LINE))
            count -= take
        return self.text_sample(lines, rng, side, False)

    def text_sample(self, lines: list[str], rng: random.Random, side: int, dense: bool) -> Sample:
        font = rng.choice(rng.choice(self.fonts))
        scene = None
        if rng.random() < 0.2:
            scene = cropped(self.store.picture(rng.choice(self.scenes)), rng, 0.3)
        drawn = render.render(lines, font, rng, side, scene, dense)
        return Sample("text", drawn.picture, drawn.text, cells=drawn)


def letterboxed(picture: Image.Image, side: int) -> Image.Image:
    """The whole picture on a grey square, as the model's preprocessing pads it."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    page = Image.new("RGB", (side, side), (127, 127, 127))
    page.paste(
        picture.resize(size, Image.Resampling.BICUBIC),
        ((side - size[0]) // 2, (side - size[1]) // 2),
    )
    return page


def squared(picture: Image.Image, side: int, rng: random.Random) -> Image.Image:
    """Letterboxed or stretched to a square, by a coin."""
    if rng.random() < 0.5:
        return letterboxed(picture, side)
    return picture.resize((side, side), Image.Resampling.BILINEAR)


def cropped(picture: Image.Image, rng: random.Random, least: float) -> Image.Image:
    """A part of at least a share of the area, mirrored by a coin."""
    area, ratio = rng.uniform(least, 1.0), np.exp(rng.uniform(-0.2, 0.2))
    w = min(picture.width, int(picture.width * np.sqrt(area) * ratio))
    h = min(picture.height, int(picture.height * np.sqrt(area) / ratio))
    x, y = rng.randint(0, picture.width - w), rng.randint(0, picture.height - h)
    picture = picture.crop((x, y, x + w, y + h))
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture


def _turn(picture: Image.Image, rng: random.Random, degrees: float) -> Image.Image:
    edge = tuple(int(v) for v in np.asarray(picture)[0].mean(0))
    return picture.rotate(rng.uniform(-degrees, degrees), Image.Resampling.BILINEAR, fillcolor=edge)


def jitter(picture: Image.Image, rng: random.Random, strength: float = 1.0) -> Image.Image:
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        if rng.random() < 0.6:
            picture = enhancer(picture).enhance(1 + strength * rng.uniform(-0.4, 0.4))
    if rng.random() < 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
    return picture


def _plain(side: int, rng: random.Random) -> Image.Image:
    if rng.random() < 0.4:
        return Image.new("RGB", (side, side), (255, 255, 255))
    return Image.new("RGB", (side, side), tuple(rng.randint(0, 255) for _ in range(3)))


def _recoloured(icon: Image.Image, rng: random.Random) -> Image.Image:
    """Designs differ in shade and weight: slight tints and squeezes stand for unseen ones."""
    array = np.asarray(icon, dtype=np.float32).copy()
    gain = np.array([rng.uniform(0.82, 1.15) for _ in range(3)], np.float32)
    array[..., :3] = np.clip(array[..., :3] * gain + rng.uniform(-15, 15), 0, 255)
    icon = Image.fromarray(array.astype(np.uint8))
    if rng.random() < 0.5:
        w, h = icon.size
        pad = rng.randint(0, w // 10)
        icon = icon.crop((-pad, -rng.randint(0, pad), w + pad, h + rng.randint(0, pad)))
    return icon


def hand_mask(picture: Image.Image) -> Image.Image:
    """What differs from the plain wall that the picture's edge shows, as a soft mask."""
    small = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), dtype=np.float32)
    edge = np.concatenate([small[:3].reshape(-1, 3), small[:, :3].reshape(-1, 3)])
    wall = np.median(edge, axis=0)
    # Shadows on the wall change its brightness, skin changes its colour.
    tint = np.abs((small / (small.sum(-1, keepdims=True) + 1)) - wall / (wall.sum() + 1)).sum(-1)
    distance = np.abs(small - wall).mean(-1) / 255 + 3.0 * tint
    soft = np.clip((distance - 0.16) / 0.10, 0, 1)
    mask = Image.fromarray((soft * 255).astype(np.uint8))
    mask = mask.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))
    return mask.filter(ImageFilter.GaussianBlur(0.8))


def _paste_hand(
    picture: Image.Image, mask: Image.Image, scene: Image.Image, rng: random.Random, dim: bool
) -> Image.Image:
    box = mask.point(lambda v: 255 if v > 128 else 0).getbbox()
    if box is None:
        return scene
    hand, mask = picture.crop(box), mask.crop(box)
    side = scene.width
    scale = side * rng.uniform(0.55, 1.0) / max(hand.size)
    size = (max(1, int(hand.width * scale)), max(1, int(hand.height * scale)))
    hand, mask = hand.resize(size), mask.resize(size)
    tone = np.array([rng.uniform(0.6, 1.15)] * 3) * [rng.uniform(0.93, 1.07) for _ in range(3)]
    shaded = np.clip(np.asarray(hand, dtype=np.float32) * tone * (1.6 if dim else 1.0), 0, 255)
    hand = Image.fromarray(shaded.astype(np.uint8))
    turn = rng.uniform(-20, 20)
    hand = hand.rotate(turn, Image.Resampling.BILINEAR, expand=True)
    mask = mask.rotate(turn, Image.Resampling.BILINEAR, expand=True)
    if rng.random() < 0.5:
        hand = hand.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    at = (
        rng.randint(min(0, side - hand.width), max(0, side - hand.width)),
        rng.randint(min(0, side - hand.height), max(0, side - hand.height)),
    )
    scene.paste(hand, at, mask)
    return scene
