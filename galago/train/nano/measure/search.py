"""A two-tower model's search of an album that was held out whole, by the nouns of its captions."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from galago.clip.mobileclip import MobileCLIP
from galago.train.nano.data.words import phrase
from galago.train.nano.measure import pictures
from galago.train.nano.measure.pictures import Shown

PARTS = ("everyday", "stamps")
RARE = 2  # photographs of a thing, at most
Figures = dict[str, Any]


def measure_clip(clip: MobileCLIP, part: str, data: Path, stamps: Path | None) -> Figures:
    """One of PARTS: the captioned photographs, or Tux Paint's stamps (nothing where there are
    none), found by the names of what they show."""
    nouns = pictures.vocabulary(data)
    if part == "everyday":
        return found(clip, list(pictures.everyday(data, nouns)))
    return found(clip, list(pictures.stamps(stamps, nouns))) if stamps is not None else {}


def found(clip: MobileCLIP, album: Sequence[Shown]) -> Figures:
    """Recall at 1, 5 and 10 of every name that some picture of the album has.

    `chance10`: what shuffled albums reach; `rare`: names of at most RARE pictures, where chance
    does little.
    """
    rows = clip.embed_images([one.picture for one in album])
    names = sorted({name for one in album for name in one.names})
    queries = clip.embed_texts([f"a photo of {phrase(name)}." for name in names])
    order = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    hits = np.array(
        [[name in album[i].names for i in row] for name, row in zip(names, order, strict=True)]
    )
    there = np.array([sum(name in one.names for one in album) for name in names])
    chance = np.array([_by_chance(len(album), int(n)) for n in there])
    rare = there <= RARE
    return {
        **{f"at{k}": _share(hits[:, :k].any(1)) for k in (1, 5, 10)},
        "chance10": _share(chance),
        "rare_at10": _share(hits[rare].any(1)),
        "rare_chance10": _share(chance[rare]),
        "queries": len(names),
        "rare_queries": int(rare.sum()),
        "album": len(album),
    }


def _by_chance(album: int, right: int, first: int = 10) -> float:
    """That one of `right` pictures is among the first ten of a shuffled album."""
    return 1 - comb(album - right, first) / comb(album, first) if album > first else 1.0


def _share(values: Any) -> float:
    return round(float(np.mean(values)), 4) if np.size(values) else 0.0
