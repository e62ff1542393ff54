"""Scenes and what is in them: captioned photographs, and named drawings pasted on others.

A caption is said as it was written, its nouns are what a read-out of the trunk learns, and the
kinds that a detector saw stand in for photographs whose captions say little.
"""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from galago.train.nano.data.assets import Photo, samples, split_of
from galago.train.nano.data.words import phrase
from galago.train.nano.teach.workers import read_photos

LEAST_SEEN = 4  # pictures of a noun that is worth a read-out
LONGEST = 60  # letters of a caption that a small decoder is asked for
SURE = 0.45  # of the detector
SHARES = (0.12, 0.7)  # of the picture's side that a pasted drawing takes
CUTOUTS = "cutouts-openclipart.tar"
# What WordNet takes for nouns too, in captions that don't mean them.
NO_NOUNS = frozenset(
    {
        "image",
        "photo",
        "picture",
        "same",
        "more",
        "well",
        "upper",
        "lower",
        "central",
        "can",
        "will",
        "may",
        "working",
        "national",
        "john",
        "die",
        "opening",
    }
)


_KINDS = """\
person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign
parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella
handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove
skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple
sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed
dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink
refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"""
KINDS = tuple(re.split("[,\n]", _KINDS))  # COCO's, in the detector's order


@dataclass(frozen=True)
class Cutout:
    """A drawing with alpha, as a file, and its names; the first is what it is called."""

    data: bytes
    names: tuple[str, ...]


def load_cutouts(shards: Path, split: str) -> list[Cutout]:
    """The cut-outs of one split; none where the shard isn't there."""
    path = shards / CUTOUTS
    if not path.is_file():
        return []
    return [
        Cutout(data, names)
        for info, data in samples(path)
        if split_of(info, path.stem) == split and (names := drawn_names(info))
    ]


def drawn_names(info: dict[str, Any]) -> tuple[str, ...]:
    """Title and keywords of a drawing, of one thing, without numbers and what is no word."""
    found = (" ".join(re.findall("[a-z]+", name.lower())) for name in info.get("labels", ()))
    ones = (re.sub(r"(?<![siu])s$", "", name) for name in found)
    return tuple(dict.fromkeys(name for name in ones if 2 < len(name) < 20))


@lru_cache(maxsize=128)
def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGBA")


def pasted(cutout: Cutout, scene: Image.Image, rng: random.Random) -> Image.Image:
    """The drawing somewhere on the scene (square), which may be a plain page."""
    side = scene.width
    drawn = _opened(cutout.data)
    scale = side * rng.uniform(*SHARES) / max(drawn.size)
    size = (max(8, round(drawn.width * scale)), max(8, round(drawn.height * scale)))
    drawn = drawn.resize(size, Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    drawn = drawn.rotate(rng.gauss(0, 8), Image.Resampling.BILINEAR, expand=True)
    page = scene.copy()
    at = (
        rng.randint(0, max(0, side - drawn.width)),
        rng.randint(0, max(0, side - drawn.height)),
    )
    page.paste(drawn, at, drawn)
    return page


def find_seen(photos: Sequence[Photo], folder: Path) -> list[tuple[Photo, tuple[str, ...]]]:
    """Photographs in which the detector ("things") is sure of something, and of what, the surest
    first."""
    found = []
    for photo, row in read_photos(photos, folder, "things"):
        sure = (KINDS[one["kind"]] for one in row["things"] if one["score"] >= SURE)
        names = tuple(dict.fromkeys(sure))
        if names:
            found.append((photo, names))
    return found


def caption_of(info: dict[str, Any], rng: random.Random) -> str:
    """One of a photograph's captions that is short enough, as a sentence; "" where none is."""
    fit = _fitting(info)
    return rng.choice(fit) if fit else ""


def short_caption(info: dict[str, Any]) -> str:
    """The first of those, the same each time; "" where there is none."""
    return next(iter(_fitting(info)), "")


def _fitting(info: dict[str, Any]) -> list[str]:
    return [text for text in map(sentence, info.get("captions", ())) if 3 < len(text) <= LONGEST]


def sentence(text: str) -> str:
    """The first sentence of an alt text, without brackets and without "a photo of"."""
    text = re.sub(r"\([^)]*\)|\[[^]]*\]", "", text)
    text = re.split(r"(?<=[a-z])[.;:]\s", text.strip() + " ")[0].strip(" .;:,")
    text = re.sub(
        r"^(an? |the )?(close[- ]?up |black and white )?(photo(graph)?|picture|image) (of|shows?) ",
        "",
        text,
        flags=re.IGNORECASE,
    )
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + "." if text else ""


def told(name: str) -> str:
    """Of a drawing by its name."""
    return f"A drawing of {phrase(name)}."


def listed(names: Sequence[str]) -> str:
    """Of a photograph without a caption, by at most two of its names."""
    return f"A photo of {' and '.join(phrase(name) for name in names[:2])}."


def nouns_of(info: dict[str, Any]) -> tuple[str, ...]:
    """Labels, and the kinds that a detector is sure of."""
    seen = [name for name, score in info.get("detected", ()) if score >= SURE]
    names = dict.fromkeys(name.lower() for name in (*info.get("labels", ()), *seen))
    return tuple(name for name in names if len(name) > 2 and name not in NO_NOUNS)


def common_nouns(
    photos: Iterable[Photo], cutouts: Sequence[Cutout], least: int = LEAST_SEEN
) -> list[str]:
    """What enough pictures show, in alphabetical order: the classes of the read-out."""
    counts = Counter(name for photo in photos for name in nouns_of(photo.info))
    counts.update(name for cutout in cutouts for name in cutout.names)
    return sorted(name for name, count in counts.items() if count >= least and name)
