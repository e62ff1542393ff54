"""Reinforced shards of drawn pictures, with random rows in the places of teachers'."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from galago.train.clip.augment import draw
from galago.train.clip.shards import Sample, write_sample

__all__ = ["COLOURS", "TINY", "reinforced", "write_shards"]

COLOURS = ("red", "green", "blue", "yellow")
# The smallest student of galago's own shape.
TINY = """\
name = "tiny"
seed = 1
side = 64
[vision]
depths = [1, 1, 1, 1, 1]
widths = [8, 16, 16, 32, 32]
mlp_ratios = [2.0, 2.0, 2.0, 2.0, 2.0]
[clip]
embed = 32
width = 32
heads = 2
layers = 1
vocab = 8192
[[stages]]
name = "x"
loss = "contrastive"
trains = ["trunk"]
steps = 1
lr = 1e-3
batch = [{ side = 64, object = 4 }]
"""


def reinforced(number: int, dims: Sequence[int], *, captions: int = 2) -> Sample:
    """A coloured disc; its rows are the same for all discs of its colour, nearly."""
    rng = np.random.default_rng(number)
    colour = COLOURS[number % len(COLOURS)]
    image = Image.new("RGB", (50, 40), "white")
    ImageDraw.Draw(image).ellipse((5 + number % 7, 5, 35, 35), fill=colour)
    stream = io.BytesIO()
    image.save(stream, "png")
    own = np.random.default_rng(number % len(COLOURS)).normal(size=sum(dims))

    def rows(count: int) -> np.ndarray:
        noisy = own + 0.1 * rng.normal(size=(count, sum(dims)))
        parts = np.split(noisy, np.cumsum(dims)[:-1], axis=1)
        unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
        return np.concatenate(unit, axis=1).astype(np.float32)

    drawn = random.Random(number)
    augmentations = tuple(draw(50, 40, drawn) for _ in range(3))
    synthetic = (f"one {colour} disc", f"a {colour} circle")[:captions]
    return Sample(
        f"{number:09}", stream.getvalue(), "png", f"a {colour} disc", synthetic, augmentations,
        rows(3), rows(1 + captions),
    )  # fmt: skip


def write_shards(
    folder: Path,
    counts: Sequence[int],
    dims: Sequence[int] = (6, 5),
    *,
    plan: bool = True,
    captions: int = 2,
    broken: Sequence[int] = (),
) -> Path:
    """Shards of so many samples each, and what stands beside them of two teachers; the pictures of
    those that are `broken` can't be opened."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for shard, count in enumerate(counts):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for _ in range(count):
                sample = reinforced(number, dims, captions=captions)
                write_sample(tar, replace(sample, picture=b"no") if number in broken else sample)
                number += 1
    if plan:
        teachers = [{"name": f"t{n}", "dim": dim, "scale": 20.0} for n, dim in enumerate(dims)]
        (folder / "reinforce.json").write_text(json.dumps({"format": 1, "teachers": teachers}))
    return folder
