"""What a photo probably shows, in a word or two: for people who can't see it.

The photo's stored vector is compared with some hundred plain words, so nothing is looked at anew.
A caption of a language model would say more, and take a second a photo.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from galago.album.embedder import Float
from galago.places import DATA

__all__ = ["PHRASE", "sights", "words"]

_FILE = DATA / "sights.txt"

PHRASE = "a photo of {}"  # how a word is put to the model

# A word is named when it stands so many deviations above the others, and so near to the best one.
# With mobileclip2-nano, which knows few things, 12 of the 16 photos in examples/album get words,
# one of them none that is right; with 2.5 it is 15 and two, and a raised hand is called glasses.
_STRONG = 3.0
_BESIDE = 0.5
_MOST = 3


@cache
def words() -> tuple[str, ...]:
    """What a photo may show."""
    lines = _FILE.read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def sights(rows: Float, named: Float) -> list[list[int]]:
    """For photos (n, dim) which of the words (m, dim) fit: up to three places each, best first.

    Both unit rows of one model.  None where no word stands out: a wrong word is worse than none.
    """
    scores = rows @ named.T  # (n, m)
    spread = np.maximum(scores.std(axis=1, keepdims=True), 1e-6)
    strong = (scores - scores.mean(axis=1, keepdims=True)) / spread
    found = []
    for row in strong:
        best = np.argsort(-row, kind="stable")[:_MOST]
        cut = max(_STRONG, float(row[best[0]]) - _BESIDE) if len(best) else _STRONG
        found.append([int(place) for place in best if row[place] >= cut])
    return found
