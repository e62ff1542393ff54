"""Real lettering: lines of text in photographs, by shards and the teacher "text"."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from galago.train.nano.data.assets import Photo, PhotoStore
from galago.train.nano.data.render import CLASS_OF
from galago.train.nano.teach.workers import read_photos

SURE = 0.93  # of the teacher: about 94 % of such lines are right, errors are lost spaces
LETTERS = (2, 24)  # of a line that a small decoder is asked for
LEAST = 12  # px of height that letters need


@dataclass(frozen=True)
class Line:
    """A line in a photograph: left, top, right, bottom in its pixels (None: all of it)."""

    photo: Photo
    text: str
    box: tuple[int, int, int, int] | None = None


def shard_lines(photos: Sequence[Photo]) -> list[Line]:
    """The cut-out lines of shards whose text is known."""
    found = (Line(photo, str(photo.info["text"])) for photo in photos)
    return [line for line in found if _legible(line.text)]


def read_lines(photos: Sequence[Photo], folder: Path) -> list[Line]:
    """What the teacher read for sure in photographs, large enough and nearly level."""
    lines = []
    for photo, row in read_photos(photos, folder, "text"):
        for one in row["lines"]:
            xs, ys = zip(*one["corners"], strict=True)
            level = abs(ys[1] - ys[0]) < 0.15 * abs(xs[1] - xs[0])
            if one["score"] >= SURE and level and max(ys) - min(ys) >= LEAST:
                box = (int(min(xs)), int(min(ys)), int(max(xs)) + 1, int(max(ys)) + 1)
                lines.append(Line(photo, one["text"], box))
    return [line for line in lines if _legible(line.text)]


def _legible(text: str) -> bool:
    return LETTERS[0] <= len(text) <= LETTERS[1] and all(c in CLASS_OF or c == " " for c in text)


def cut(line: Line, store: PhotoStore, rng: random.Random) -> Image.Image:
    """The line with a little of what is around it."""
    picture = store.picture(line.photo)
    if line.box is None:
        return picture
    left, top, right, bottom = line.box
    margin = (bottom - top) * rng.uniform(0.1, 0.8)
    box = (
        max(0, int(left - margin)),
        max(0, int(top - margin)),
        min(picture.width, int(right + margin)),
        min(picture.height, int(bottom + margin)),
    )
    return picture.crop(box)
