"""What models make of pictures, by galago's own engine; kept, so that a border costs no pass."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from galago.checkpoints.tensors import Float
from galago.clip.mobileclip import MobileCLIP
from galago.text.edits import edit_distance
from galago.text.presets import PRESETS
from galago.train.nano.data.words import NUMBERS, phrase
from galago.train.nano.doubt.pictures import Shown
from galago.train.nano.doubt.scenes import names_one
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

OPTIONS = SamplingOptions(max_tokens=64)
QUESTIONS = {  # asked about pictures of a kind
    "unknown": ("describe", "brief"),
    "object": ("describe", "brief"),
    "emoji": ("describe", "brief"),
    "fingers": ("describe", "count"),
    "note": ("describe", "read"),
    "scene": ("describe", "brief"),
}
READ_RIGHT = 0.25  # a note is read rightly when no more of its characters are wrong


@dataclass(frozen=True)
class Asked:
    """One answer: what it weighs, its figures, and whether it is right.

    `row` is the picture's among the features; `answer` galago.Stats.signals.
    """

    row: int
    question: str
    answer: tuple[float, ...]
    right: bool


@dataclass(frozen=True)
class Seen:
    """As Shown, without the picture."""

    source: str
    kind: str
    truth: str
    part: str
    group: str


@dataclass(frozen=True)
class Measured:
    """Features float32 (n, D) of pictures, what these were, and the answers about them."""

    features: Float
    pictures: list[Seen]
    asked: list[Asked]

    def save(self, path: Path) -> None:
        about = json.dumps(
            {"pictures": list(map(astuple, self.pictures)), "asked": list(map(astuple, self.asked))}
        )
        np.savez(path, features=self.features, about=np.array(about))

    @classmethod
    def load(cls, path: Path) -> Measured:
        with np.load(path, allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            features = held["features"]
        pictures = [Seen(*row) for row in about["pictures"]]
        asked = [Asked(row, name, tuple(answer), ok) for row, name, answer, ok in about["asked"]]
        return cls(features, pictures, asked)


def measure_vlm(vlm: FastVLM, shown: Iterable[Shown]) -> Measured:
    """The mean token of each picture, and answers about those that weren't taught."""
    features, pictures, asked = [], [], []
    for row, one in enumerate(track(shown, description="pictures")):
        image = vlm.encode(one.picture)
        features.append(image.features.mean(axis=0))
        pictures.append(Seen(one.source, one.kind, one.truth, one.part, one.group))
        for question in QUESTIONS[one.kind] if one.part != "taught" else ():
            *said, last = vlm.stream(image, PRESETS[question], OPTIONS)
            text = "".join(chunk.text for chunk in (*said, last))
            assert last.stats is not None
            asked.append(Asked(row, question, last.stats.signals, right(one, question, text)))
    return Measured(np.stack(features), pictures, asked)


def measure_clip(clip: MobileCLIP, shown: Iterable[Shown], labels: list[str]) -> Measured:
    """The vector of each picture, and whether the likeliest label of all is right."""
    rows = clip.embed_labels(labels)
    features, pictures, asked = [], [], []
    for row, one in enumerate(track(shown, description="pictures")):
        (seen,) = clip.embed_images([one.picture])
        features.append(seen)
        pictures.append(Seen(one.source, one.kind, one.truth, one.part, one.group))
        if one.part != "taught":
            best = labels[int(np.argmax(rows @ seen))]
            asked.append(Asked(row, "classify", (), best == one.truth))
    return Measured(np.stack(features), pictures, asked)


def right(shown: Shown, question: str, text: str) -> bool:
    """Whether an answer says what a picture shows; of what was never taught none does."""
    said, truth = " ".join(text.split()), " ".join(shown.truth.split())
    if shown.kind == "note":
        said = said.partition("says: ")[2] if question != "read" else said
        return edit_distance(truth, said) <= READ_RIGHT * len(truth)
    if shown.kind == "fingers":
        if question == "count":
            return said.strip(" .") == truth
        count = int(truth)
        plural = "s" * (count > 1)
        raised = f"holding up {NUMBERS[count]} finger{plural}" if count else "making a fist"
        return raised in said
    if shown.kind == "unknown":
        return False
    if shown.kind == "scene":
        return names_one(said, truth)
    return said.strip(" .").lower().endswith(phrase(truth).lower())
