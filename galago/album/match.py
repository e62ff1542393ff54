"""Whether a photo shows what was asked for, or is only the nearest of an album that doesn't.

The cosine between words and a photo says little by itself: some words score 0.1 higher than others
on everything, some photos attract every query, and each model has its own range, so a flat cut-off
fails (immich-app/immich#5996).  Two comparisons replace it:

1. Strength: how far a photo's score for the query stands above the same photo's scores for some
   hundred everyday things, in standard deviations.  That takes out what is the photo's own, as
   querybank normalisation does (Bogolin et al., https://arxiv.org/abs/2112.12777).
2. Reach: in a larger album chance alone reaches higher.  So phrases that no photo shows ("compound
   interest") are put to every photo that is indexed, and the highest strength of each is kept.  A
   match must be stronger than most of them ever got in this very album.

A picture that is asked with has scores for the same everyday things; photos that show what it shows
have scores that rise and fall with its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from galago.album.embedder import Float
from galago.places import DATA

__all__ = [
    "ALIKE",
    "NEAR",
    "Background",
    "is_close",
    "likeness",
    "phrases",
    "reach",
    "strength",
    "words_cut",
]

_FILE = DATA / "background.txt"

# Below this a photo shows everyday things better than what was asked for, in any album.
_FLOOR = 1.5
# A match is stronger than this share of the phrases that no photo shows.
_SHARE = 0.9
# From this likeness on two pictures show the same sort of thing.
ALIKE = 0.6
# From this cosine on they are nearly the same picture.
NEAR = 0.96
# A match is close from these on: three deviations hardly come by chance.
_CLOSE = 3.0
_VERY_ALIKE = 0.8


@dataclass(frozen=True)
class Background:
    """Everyday phrases embedded by the album's model: unit rows (n, dim)."""

    shown: Float
    absent: Float


@cache
def phrases() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What photos show, and what none does."""
    groups: list[list[str]] = []
    for line in _FILE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            groups.append([])
        else:
            groups[-1].append(line)
    shown, absent = (tuple(group) for group in groups if group)
    return shown, absent


def strength(scores: Float, others: Float) -> Float:
    """How far scores (n,) stand above others (n, m) of the same photos, in deviations: (n,)."""
    spread = np.maximum(others.std(axis=1), 1e-6)
    return np.asarray((scores - others.mean(axis=1)) / spread, np.float32)


def likeness(rows: Float, picture: Float, background: Background) -> Float:
    """How alike photos (n, dim) and a picture (dim,) are in what they show: -1 to 1, (n,).

    The correlation of their scores for everyday things.
    """
    shown = np.concatenate([rows, picture[None]]) @ background.shown.T
    shown -= shown.mean(axis=1, keepdims=True)
    shown /= np.maximum(np.linalg.norm(shown, axis=1, keepdims=True), 1e-6)
    return np.asarray(shown[:-1] @ shown[-1], np.float32)


def reach(rows: Float, background: Background) -> Float:
    """The highest strength of each absent phrase over photos (n, dim): (phrases,)."""
    shown = rows @ background.shown.T  # (n, m)
    middle = shown.mean(axis=1, keepdims=True)
    spread = np.maximum(shown.std(axis=1, keepdims=True), 1e-6)
    found = (rows @ background.absent.T - middle) / spread
    return np.asarray(found.max(axis=0, initial=-np.inf), np.float32)


def is_close(strength: float) -> bool:
    """Of a match: whether it is a close one, by words (in deviations) or by a picture (up to 1).

    No words match with a strength of 1 or less, so the number says which it is.
    """
    return strength >= (_CLOSE if strength > 1 else _VERY_ALIKE)


def words_cut(reached: Float) -> float:
    """From which strength on a photo matches words; `reached`: the album's reach (phrases,)."""
    if not np.isfinite(reached).all() or not len(reached):  # nothing has been indexed
        return _FLOOR
    # What np.quantile gives, which would load numpy's masked arrays: 20 ms of a search.
    place = _SHARE * (len(reached) - 1)
    return max(_FLOOR, float(np.interp(place, np.arange(len(reached)), np.sort(reached))))
