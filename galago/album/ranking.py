"""Photos in the order in which they answer a query: nearest, matching, or by their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.album.match import ALIKE, NEAR, Background, likeness, strength, words_cut
from galago.album.store import Head
from galago.album.wording import Quote, Quotes, fused

__all__ = ["Compared", "Part", "Ranked", "View", "compared"]

_SAMPLE = 512  # photos that stand for the whole album where its average is asked for
_JUDGED = 4096  # photos judged at once, so that memory does not grow with k
_MINUS = 0.5  # what is not wanted weighs half: nothing at all should not beat what is wanted


@dataclass(frozen=True)
class Part:
    """One part of a query: a unit vector (dim,) of words or of a picture, wanted or not.

    `weight`: how much it counts beside the others; what is not wanted counts half of that.
    """

    vector: Float
    kind: Literal["words", "picture"] = "words"
    wanted: bool = True
    weight: float = 1.0


class Compared(Protocol):
    """The vectors that are searched, wherever they lie: `galago.album.vectors.Rows` is one."""

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.intp], /) -> Float:
        """These rows, float32 (n, dim)."""
        ...

    def nearest(
        self, query: Float, k: int, without: NDArray[np.intp] | None = None
    ) -> tuple[NDArray[np.intp], Float]:
        """The k rows of the highest product with a query (dim,): places and products."""
        ...


@dataclass(frozen=True)
class View:
    """What was committed at one moment."""

    head: Head
    rows: Compared
    unused: NDArray[np.intp]
    background: Background
    reach: Float

    @cached_property
    def sample(self) -> Float:
        """Photos evenly spread over the album, (n, dim)."""
        free = np.ones(len(self.rows), bool)
        free[self.unused] = False
        places = np.flatnonzero(free)
        step = max(1, len(places) // _SAMPLE)
        return self.rows.take(places[::step][:_SAMPLE])


@dataclass(frozen=True)
class Ranked:
    """A row that was found; the rest as of galago.album.Hit."""

    row: int
    score: float | None = None
    strength: float = 0.0
    match: bool = True
    quote: Quote | None = None


def compared(
    view: View,
    parts: Sequence[Part],
    rows: NDArray[np.intp] | None,
    quotes: Quotes,
    wanted: int,
    *,
    only_matches: bool,
) -> list[Ranked]:
    """The best first by what photos show, and by their texts (`quotes`): matches, then the nearest.

    Of `rows`, or all that are used; the `wanted` nearest and all of the quotes are judged.
    """
    query = _query(view, parts)
    left_out = view.unused if rows is None else _others(rows, len(view.rows))
    places, scores = view.rows.nearest(query, wanted, left_out)
    near = set(places.tolist())
    more = np.array([r for r in (*quotes.whole, *quotes.begun) if r not in near], np.intp)
    places = np.concatenate([places, more])
    scores = np.concatenate([scores, view.rows.take(more) @ query])
    strengths, matches = _judge_all(view, parts, places)
    found = {
        int(place): Ranked(
            int(place),
            float(scores[at]),
            float(strengths[at]),
            bool(matches[at]) or quotes.of(int(place)) is not None,
            quotes.of(int(place)),
        )
        for at, place in enumerate(places)
    }
    first = fused(quotes.whole, places[: len(near)][matches[: len(near)]].tolist())
    order = dict.fromkeys((*first, *quotes.begun))
    if not only_matches:
        order |= dict.fromkeys(found)
    return [found[row] for row in order]


def _others(rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The places from 0 to `count` that aren't these."""
    left = np.ones(count, bool)
    left[rows] = False
    return np.flatnonzero(left)


def _query(view: View, parts: Sequence[Part]) -> Float:
    """One vector (dim,) for all parts.

    Words and pictures lie in two regions of the space (Liang et al., "Mind the gap",
    https://arxiv.org/abs/2203.02053), so a plain sum would mostly say which region is meant.
    Parts are taken relative to the middle of their own region, then brought to one length.
    """
    if len(parts) == 1:
        return parts[0].vector
    middle = {
        "words": view.background.shown.mean(axis=0),
        "picture": view.sample.mean(axis=0),
    }
    total = np.zeros(view.head.dim, np.float32)
    for part in parts:
        apart = part.vector - middle[part.kind]
        share = part.weight * (1 if part.wanted else -_MINUS)
        total += share * apart / max(float(np.linalg.norm(apart)), 1e-6)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)


def _judge_all(
    view: View, parts: Sequence[Part], places: NDArray[np.intp]
) -> tuple[Float, NDArray[np.bool_]]:
    """As _judge, of rows by their places (n,), some at a time."""
    strengths, matches = np.empty(len(places), np.float32), np.empty(len(places), bool)
    for start in range(0, len(places), _JUDGED):
        part = slice(start, start + _JUDGED)
        strengths[part], matches[part] = _judge(view, parts, view.rows.take(places[part]))
    return strengths, matches


def _judge(view: View, parts: Sequence[Part], found: Float) -> tuple[Float, NDArray[np.bool_]]:
    """Strength of photos (n, dim), and which are matches: those that one wanted part makes one."""
    strengths = np.full(len(found), -np.inf, np.float32)
    matches = np.zeros(len(found), bool)
    for part in parts:
        if not part.wanted:
            continue
        scores = found @ part.vector
        if part.kind == "words":
            own = strength(scores, found @ view.background.shown.T)
            matches |= own >= words_cut(view.reach)
        else:
            own = likeness(found, part.vector, view.background)
            matches |= (own >= ALIKE) | (scores >= NEAR)
        strengths = np.maximum(strengths, own)
    return strengths, matches
