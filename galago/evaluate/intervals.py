"""How sure a figure is: 95 % intervals.

Answers that are right or wrong, each about a picture of its own, have Wilson's interval. Scores
between, and several answers about one picture, have a percentile bootstrap that draws pictures:
answers about one picture go wrong together. Where all are right, or all wrong, it would draw no
spread: then Wilson's interval of as many pictures stands.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROUNDS", "Figure", "drawn_sums", "figure", "wilson"]

_Z = 1.959963984540054  # the normal's 97.5th percentile
ROUNDS = 2000  # of the bootstrap
_AT_ONCE = 1 << 22  # numbers drawn together, for the memory's sake

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A mean of `count` answers about `pictures` pictures, and its 95 % interval by `method`:
    "wilson", "bootstrap", or "" where a single picture leaves none."""

    mean: float
    low: float
    high: float
    count: int
    pictures: int
    method: str


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), without continuity correction."""
    share, z2 = right / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    # rounding would leave an end a hair away from where it is exactly
    return 0.0 if right == 0 else middle - half, 1.0 if right == count else middle + half


def figure(
    scores: Sequence[float],
    pictures: Sequence[Hashable],
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Figure:
    """The weighed mean of at least one score, and its interval; `pictures` says what each is of."""
    values = np.asarray(scores, np.float64)
    weighed = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
    mean = float((values * weighed).sum() / weighed.sum())
    count, several = len(values), len(set(pictures))
    if several == count and weights is None and np.isin(values, (0.0, 1.0)).all():
        return Figure(mean, *wilson(int(values.sum()), count), count, several, "wilson")
    if several == 1:
        return Figure(mean, mean, mean, count, several, "")
    if (values == 0).all() or (values == 1).all():
        return Figure(mean, *wilson(several * int(values[0]), several), count, several, "wilson")
    sums = np.concatenate([*drawn_sums(np.stack([values * weighed, weighed]), pictures, seed)])
    low, high = np.percentile(sums[:, 0] / sums[:, 1], (2.5, 97.5))
    return Figure(mean, float(low), float(high), count, several, "bootstrap")


def drawn_sums(values: Floats, pictures: Sequence[Hashable], seed: int) -> Iterator[Floats]:
    """Sums (rounds, k) of values (k, n) over as many pictures as there are, drawn with repetition;
    ROUNDS of them in parts."""
    numbers = {picture: number for number, picture in enumerate(dict.fromkeys(pictures))}
    of = np.array([numbers[picture] for picture in pictures])
    each = np.stack([np.bincount(of, row, len(numbers)) for row in values])  # (k, pictures)
    rng = np.random.default_rng(seed)
    part = max(1, _AT_ONCE // len(numbers))
    for start in range(0, ROUNDS, part):
        drawn = rng.integers(0, len(numbers), (min(part, ROUNDS - start), len(numbers)))
        yield each[:, drawn].sum(axis=2).T
