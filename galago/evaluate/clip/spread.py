"""The 95 % interval of figures that are no plain mean: a bootstrap that draws pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.evaluate.intervals import Figure

__all__ = ["f1_macro", "mean_of_classes", "spread", "worst_group"]

Ints = NDArray[np.int64]
_ROUNDS = 1000


def spread(value: float, count: int, statistic: Callable[[Ints], float], seed: int = 0) -> Figure:
    """A figure of `count` pictures with the interval of what `statistic` makes of drawn ones.

    `statistic` gets numbers of pictures, some of them several times.
    """
    rng = np.random.default_rng(seed)
    found = [statistic(rng.integers(0, count, count)) for _ in range(_ROUNDS)]
    low, high = np.percentile(found, (2.5, 97.5))
    return Figure(value, float(low), float(high), count, count, "bootstrap")


def mean_of_classes(right: NDArray[np.bool_], target: Ints) -> Callable[[Ints], float]:
    """The mean recall of the classes that are there (sklearn's balanced accuracy)."""
    classes = int(target.max()) + 1

    def of(drawn: Ints) -> float:
        labels = target[drawn]
        there = np.bincount(labels, minlength=classes)
        hits = np.bincount(labels, right[drawn], classes)
        return float((hits[there > 0] / there[there > 0]).mean())

    return of


def f1_macro(said: Ints, target: Ints) -> Callable[[Ints], float]:
    """The mean F1 of the classes that are right somewhere, as WILDS counts it (sklearn's f1_score
    with labels=unique(target))."""
    classes = int(max(said.max(), target.max())) + 1

    def of(drawn: Ints) -> float:
        ours, theirs = said[drawn], target[drawn]
        hits = np.bincount(theirs[ours == theirs], minlength=classes)
        there = np.bincount(theirs, minlength=classes)
        both = there + np.bincount(ours, minlength=classes)
        return float((2 * hits[there > 0] / both[there > 0]).mean())

    return of


def worst_group(right: NDArray[Any], groups: Ints) -> Callable[[Ints], float]:
    """The share that is right in the group where it is least (WILDS' worst-group accuracy)."""
    count = int(groups.max()) + 1

    def of(drawn: Ints) -> float:
        of_group = groups[drawn]
        there = np.bincount(of_group, minlength=count)
        hits = np.bincount(of_group, right[drawn].astype(np.float64), count)
        return float((hits[there > 0] / there[there > 0]).min())

    return of
