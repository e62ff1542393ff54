"""Intervals of figures that are no plain mean, and the figures themselves."""

from __future__ import annotations

import numpy as np
import pytest

from galago.evaluate.clip.spread import f1_macro, mean_of_classes, spread, worst_group
from galago.evaluate.intervals import wilson

RNG = np.random.default_rng(3)
TARGET = RNG.integers(0, 5, 200)
SAID = np.where(RNG.random(200) < 0.7, TARGET, RNG.integers(0, 7, 200))  # some classes never right
ALL = np.arange(200)


def by_class(label: int) -> tuple[int, int, int]:
    """How often a class was said rightly, was said, and was there."""
    right = int(((label == SAID) & (label == TARGET)).sum())
    return right, int((label == SAID).sum()), int((label == TARGET).sum())


def test_mean_of_classes_by_hand() -> None:
    shares = [by_class(label)[0] / by_class(label)[2] for label in range(5)]
    assert mean_of_classes(SAID == TARGET, TARGET)(ALL) == pytest.approx(np.mean(shares))


def test_f1_by_hand() -> None:
    each = []
    for label in range(5):
        right, said, there = by_class(label)
        precision, recall = right / said, right / there
        each.append(2 * precision * recall / (precision + recall))
    assert f1_macro(SAID, TARGET)(ALL) == pytest.approx(np.mean(each))


def test_as_sklearn_has_them_on_generated_answers() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(30):
        rng = np.random.default_rng(seed)
        target = rng.integers(0, 6, 50)
        said = np.where(rng.random(50) < 0.5, target, rng.integers(0, 9, 50))
        ours = f1_macro(said, target)(np.arange(50))
        there = np.unique(target)
        assert ours == pytest.approx(
            metrics.f1_score(target, said, average="macro", labels=there, zero_division=0)
        )
        recall = metrics.recall_score(target, said, average="macro", labels=there)
        assert mean_of_classes(said == target, target)(np.arange(50)) == pytest.approx(recall)


def test_the_worst_group_is_of_those_that_are_there() -> None:
    right, groups = np.array([1, 0, 1, 1, 0, 0]), np.array([0, 0, 3, 3, 5, 3])
    assert worst_group(right, groups)(np.arange(6)) == 0
    assert worst_group(right, groups)(np.array([0, 1, 2, 3])) == 0.5


def test_the_interval_of_a_plain_mean_is_near_wilsons() -> None:
    right = (np.arange(400) % 4 > 0).astype(float)
    found = spread(0.75, 400, lambda drawn: float(right[drawn].mean()))
    low, high = wilson(300, 400)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert (found.mean, found.count, found.method) == (0.75, 400, "bootstrap")
