"""A dataset reinforced once: what the teachers say, stored beside the pictures.

Multi-modal reinforced training (MobileCLIP, arXiv 2311.17049, section 3): for every training
photograph a few crops with the teachers' rows for each crop, and captions with the text teacher's
rows, so that a student's step runs no teacher. The student sees exactly the crops that the teachers
saw. Which teachers: teachers.py; the trunk also regresses the features of the image
teacher of galago/train/nano/data/image_teacher.py.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.progress import track

from galago.errors import OptionError
from galago.train.nano.arithmetic import autocast
from galago.train.nano.clip.teachers import OpenClip, Teacher, make_teacher
from galago.train.nano.config import TeachersConfig
from galago.train.nano.data.assets import PhotoStore, find_words
from galago.train.nano.data.captions import captions, holds_out, load_synonyms
from galago.train.nano.data.image_teacher import load_teacher, teacher_pixels

CROPS = 2  # besides the whole picture, which teacher.npy holds
CROP_SIDE = 160  # px; what the shards hold, and half as dear for the teacher as 224
CAPTIONS = 24  # a label
WORDS = 9000
_ARRAYS = ("boxes", "features", "picture_rows", "caption_rows", "word_rows")


@dataclass(frozen=True)
class Reinforced:
    """What the student learns from, memory-mapped; crop 0 is the whole picture.

    boxes int16 (photos, 1 + CROPS, 4): left, top, width, height in pixels of the store;
    features float16 (photos, 1 + CROPS, 1280); picture_rows float16 (photos, 1 + CROPS, dim);
    captions by label, caption_rows float16 (labels, CAPTIONS, dim); words and word_rows; `own`:
    captions of single photographs by row, where people or a captioner wrote some, and own_rows
    (photos, dim); `captioned`: the rows of those that have a caption and no label.
    """

    boxes: np.ndarray
    features: np.ndarray
    picture_rows: np.ndarray
    captions: list[list[str]]
    caption_rows: np.ndarray
    words: list[str]
    word_rows: np.ndarray
    scale: float  # of the teacher's cosines
    own: dict[int, str]
    own_rows: np.ndarray | None
    captioned: list[int]


def load_reinforced(folder: Path) -> Reinforced:
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    held = json.loads((folder / "texts.json").read_text("utf-8"))
    own = {int(row): text for row, text in held["own"].items()}
    rows = np.load(folder / "own_rows.npy", mmap_mode="r") if own else None
    return Reinforced(
        captions=held["captions"],
        words=held["words"],
        scale=held["scale"],
        own=own,
        own_rows=rows,
        captioned=held["captioned"],
        **arrays,
    )


def build_reinforced(
    cache: Path,
    labels: Sequence[str],
    teachers: TeachersConfig,
    seed: int,
    scenes: Mapping[int, str] | None = None,
) -> Path:
    """Write `cache`/reinforced once, and return it; an interrupted build starts over.

    `scenes`: photographs without a label by their row, and what their captions say.

    OptionError when what is there was made for other labels, teachers or synonyms.
    """
    out = cache / "reinforced"
    # Words that are held out must not come in by this door.
    scenes = {row: text for row, text in (scenes or {}).items() if not holds_out(text)}
    made_for = _made_for(labels, teachers, seed, scenes)
    if out.exists():
        if json.loads((out / "made_for.json").read_text("utf-8")) != made_for:
            raise OptionError(
                f"{out} was made for another configuration; delete it to make it anew"
            )
        return out
    part = cache / "reinforced.part"
    part.mkdir(exist_ok=True)
    store = PhotoStore(cache)
    teacher = make_teacher(teachers.pair)
    own = dict(scenes)
    taught = _taught(store)
    if teachers.captioner != "templates":
        pictures = (store.picture(store.photos[row]) for row in taught)
        said = OpenClip(teachers.captioner).captions(pictures)
        own |= {row: text for row, text in zip(taught, said, strict=True) if not holds_out(text)}
    if own:
        rows = np.zeros((len(store.photos), teacher.texts(["a"]).shape[1]), np.float16)
        rows[list(own)] = teacher.texts(list(own.values()))
        np.save(part / "own_rows.npy", rows)
    _write_texts(part, labels, teacher, own, sorted(scenes), seed)
    features = np.load(cache / "teacher.npy", mmap_mode="r")
    _write_pictures(part, store, features, teacher, sorted([*taught, *scenes]), seed)
    (part / "made_for.json").write_text(json.dumps(made_for), "utf-8")
    part.rename(out)
    return out


def _made_for(
    labels: Sequence[str], teachers: TeachersConfig, seed: int, scenes: Mapping[int, str]
) -> dict[str, Any]:
    """What the stored rows depend on, as JSON gives it back."""
    said = [captions(label, load_synonyms(), CAPTIONS, seed) for label in labels]
    told = [list(labels), said, *([sorted(scenes.items())] if scenes else [])]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return {"teachers": asdict(teachers), "seed": seed, "crops": CROPS, "captions": digest}


def _taught(store: PhotoStore) -> list[int]:
    return [
        row
        for row, photo in enumerate(store.photos)
        if photo.info["task"] == "object" and photo.info["split"] == "train"
    ]


def _write_texts(
    out: Path,
    labels: Sequence[str],
    teacher: Teacher,
    own: dict[int, str],
    captioned: list[int],
    seed: int,
) -> None:
    synonyms = load_synonyms()
    said = [captions(label, synonyms, CAPTIONS, seed) for label in labels]
    words = find_words(frozenset("abcdefghijklmnopqrstuvwxyz"), 3 * WORDS)[:WORDS]
    rows = teacher.texts([caption for some in said for caption in some])
    np.save(out / "caption_rows.npy", rows.reshape(len(labels), CAPTIONS, -1).astype(np.float16))
    np.save(out / "word_rows.npy", teacher.texts(words).astype(np.float16))
    texts = {"captions": said, "words": words, "scale": teacher.scale, "own": own}
    texts["captioned"] = captioned
    (out / "texts.json").write_text(json.dumps(texts), "utf-8")


def _write_pictures(
    out: Path,
    store: PhotoStore,
    whole: np.ndarray,
    teacher: Teacher,
    taught: Sequence[int],
    seed: int,
) -> None:
    boxes = np.zeros((len(store.photos), 1 + CROPS, 4), np.int16)
    for row in taught:
        photo, rng = store.photos[row], random.Random(f"{seed}-{row}")
        boxes[row] = (0, 0, photo.width, photo.height)
        for crop in range(1, 1 + CROPS):
            boxes[row, crop] = random_box(photo.width, photo.height, rng)
    features = np.zeros((len(store.photos), 1 + CROPS, whole.shape[1]), np.float16)
    features[:, 0] = whole
    some = [(row, crop) for row in taught for crop in range(1, 1 + CROPS)]
    for (row, crop), feature in zip(some, _features(store, boxes, some), strict=True):
        features[row, crop] = feature

    def crops() -> Iterator[Image.Image]:
        for row in taught:
            picture = store.picture(store.photos[row])
            yield from (crop_of(picture, box) for box in boxes[row])

    seen = teacher.pictures(crops(), features[taught].reshape(-1, whole.shape[1]))
    rows = np.zeros((*features.shape[:2], seen.shape[1]), np.float16)
    rows[taught] = seen.reshape(len(taught), 1 + CROPS, -1)
    np.save(out / "boxes.npy", boxes)
    np.save(out / "features.npy", features)
    np.save(out / "picture_rows.npy", rows)


def _features(
    store: PhotoStore, boxes: np.ndarray, some: Sequence[tuple[int, int]], batch: int = 64
) -> Iterator[np.ndarray]:
    """The image teacher's features (1280,) of crops."""
    model = load_teacher().to(memory_format=torch.channels_last)
    for start in track(range(0, len(some), batch), description="teacher features of crops"):
        cut = [
            crop_of(store.picture(store.photos[row]), boxes[row, crop])
            for row, crop in some[start : start + batch]
        ]
        pixels = torch.stack([teacher_pixels(picture, CROP_SIDE) for picture in cut])
        with torch.inference_mode(), autocast():
            seen = model.forward_features(pixels.to(memory_format=torch.channels_last))
            yield from model.forward_head(seen, pre_logits=True).float().numpy()


def random_box(width: int, height: int, rng: random.Random) -> tuple[int, int, int, int]:
    """A box of 30 to 100 % of the area, of about the picture's own shape."""
    area, ratio = rng.uniform(0.3, 1.0), np.exp(rng.uniform(-0.25, 0.25))
    w = min(width, int(width * np.sqrt(area) * ratio))
    h = min(height, int(height * np.sqrt(area) / ratio))
    return rng.randint(0, width - w), rng.randint(0, height - h), w, h


def crop_of(picture: Image.Image, box: np.ndarray) -> Image.Image:
    left, top, width, height = (int(v) for v in box)
    return picture.crop((left, top, left + width, top + height))
