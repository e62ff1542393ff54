"""How a trained folder finds what it was not taught: captions of held-out pictures told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from galago.clip.mobileclip import MobileCLIP
from galago.train.clip.reading import read_shard
from galago.train.clip.shards import Sample, SampleError, plain, read_sample

__all__ = ["Judgement", "judge"]

_MOST = 5000  # pictures


@dataclass(frozen=True)
class Judgement:
    """Of `pictures`, how many have their own caption as the likeliest of all `captions` that are
    different, and among the five likeliest."""

    pictures: int
    captions: int
    top1: float
    top5: float

    def sentence(self) -> str:
        return (
            f"of {self.pictures} held-out pictures {self.top1:.1%} find their own of "
            f"{self.captions} captions, {self.top5:.1%} among five"
        )


def judge(folder: Path, shards: Sequence[str], notes: list[str]) -> Judgement | None:
    """By galago's own code, as users run it: at most the first 5,000 pictures of the shards.

    notes: gets what can't be read of them; None where nothing can.
    """
    clip = MobileCLIP.load(folder, offline=True)
    rows, texts = [], []
    samples = islice(_samples(shards, notes), _MOST)
    while some := list(islice(samples, 64)):
        rows.append(clip.embed_images([image for image, _ in some]))
        texts += [text for _, text in some]
    if not rows:
        return None
    captions = list(dict.fromkeys(texts))
    own = np.array([captions.index(text) for text in texts])
    found = np.concatenate(rows) @ clip.embed_texts(captions).T
    # What is as likely counts against it (and so does what is no number): else a student that says
    # the same of everything would find everything.  Its own is no less than itself.
    better = (~(found < found[np.arange(len(own)), own][:, None])).sum(1) - 1
    return Judgement(
        len(own), len(captions), float((better < 1).mean()), float((better < 5).mean())
    )


def _samples(shards: Sequence[str], notes: list[str]) -> Iterator[tuple[Image.Image, str]]:
    for shard in shards:
        for key, held in read_shard(shard, notes):
            try:
                sample: Sample = read_sample(held, key, Path(shard).name)
                yield plain(sample.picture, key), sample.text
            except SampleError as error:
                notes.append(f"left out: {error}")
