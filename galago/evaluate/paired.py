"""Whether two runs over the same questions differ: tests in pairs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from galago.evaluate.intervals import ROUNDS, drawn_sums

__all__ = ["Difference", "difference", "mcnemar"]


@dataclass(frozen=True)
class Difference:
    """The second mean less the first, its 95 % interval (a bootstrap that draws pictures), and how
    probable a difference as large is by chance; `test` is "mcnemar" or "bootstrap"."""

    mean: float
    low: float
    high: float
    p: float
    test: str
    count: int


def mcnemar(better: int, worse: int) -> float:
    """The exact two-sided p of McNemar's test (a binomial's with 1/2), of how many answers only one
    and only the other of two runs has right."""
    count = better + worse
    tail = ways = 1
    for k in range(min(better, worse)):
        ways = ways * (count - k) // (k + 1)  # binomial coefficients: each by the one before
        tail += ways
    # Python divides its whole numbers without going through floats that would overflow
    return min(1.0, 2 * tail / int(2**count))


def difference(
    before: Sequence[float],
    after: Sequence[float],
    pictures: Sequence[Hashable],
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Difference:
    """Two runs' scores of the same answers, at least one, in the same order.

    Where all are right or wrong, each about a picture of its own, McNemar's exact test; else a
    paired bootstrap, whose p is twice the share of draws on the other side of zero.
    """
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    weighed = np.ones_like(first) if weights is None else np.asarray(weights, np.float64)
    apart = (second - first) * weighed
    mean, count = float(apart.sum() / weighed.sum()), len(first)
    sums = np.concatenate([*drawn_sums(np.stack([apart, weighed]), pictures, seed)])
    drawn = sums[:, 0] / sums[:, 1]
    low, high = (float(end) for end in np.percentile(drawn, (2.5, 97.5)))
    whole = np.isin(np.stack([first, second]), (0.0, 1.0)).all()
    if whole and weights is None and len(set(pictures)) == count:
        p = mcnemar(int((apart > 0).sum()), int((apart < 0).sum()))
        return Difference(mean, low, high, p, "mcnemar", count)
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Difference(
        mean, low, high, min(1.0, 2 * (beyond + 1) / (ROUNDS + 1)), "bootstrap", count
    )
