"""95 % intervals: what they are by definition, and how often they hold what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galago.evaluate.intervals import figure, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_ends_are_as_far_as_the_normal_allows(counts: tuple[int, int]) -> None:
    """By definition each end p has |right / n - p| = z sqrt(p (1 - p) / n)."""
    right, count = counts
    for end in wilson(right, count):
        if 0 < end < 1:
            away = abs(right / count - end)
            assert away == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / count), rel=1e-4)
    low, high = wilson(right, count)
    assert 0 <= low <= right / count <= high <= 1


def test_right_and_wrong_of_single_pictures_is_wilsons() -> None:
    found = figure([1.0, 0.0, 1.0, 1.0], ["a", "b", "c", "d"])
    assert (found.mean, found.method, found.count, found.pictures) == (0.75, "wilson", 4, 4)
    assert (found.low, found.high) == wilson(3, 4)


def test_several_answers_about_a_picture_say_no_more_than_one() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(60)
    pictures = [str(number) for number in range(60)]
    once = figure(scores.tolist(), pictures)
    thrice = figure(np.repeat(scores, 3).tolist(), np.repeat(pictures, 3).tolist())
    assert once.method == thrice.method == "bootstrap"
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert (thrice.count, thrice.pictures) == (180, 60)
    alone = figure(np.repeat(scores, 3).tolist(), range(180))
    assert alone.high - alone.low < 0.7 * (once.high - once.low)


def test_the_bootstrap_is_about_as_wide_as_the_normal_says() -> None:
    rng = np.random.default_rng(2)
    scores = rng.random(400)
    found = figure(scores.tolist(), range(400))
    half = 1.96 * scores.std() / 20
    assert (found.low, found.high) == pytest.approx(
        (scores.mean() - half, scores.mean() + half), abs=0.15 * half
    )
    assert figure(scores.tolist(), range(400)) == found  # the same seed


def test_weights() -> None:
    found = figure([1.0, 0.0], ["a", "b"], [3.0, 1.0])
    assert found.mean == 0.75 and found.method == "bootstrap"
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_all_right_or_all_wrong_is_not_sure(score: float) -> None:
    found = figure([score] * 7, ["a", "a", "b", "c", "d", "e", "f"])
    assert (found.method, found.count, found.pictures) == ("wilson", 7, 6)
    assert (found.low, found.high) == wilson(6 * int(score), 6)
    assert figure([score] * 2, ["a", "b"], [3.0, 1.0]).method == "wilson"


def test_one_picture_leaves_no_interval() -> None:
    found = figure([1.0, 0.0], ["a", "a"])
    assert (found.low, found.mean, found.high, found.method) == (0.5, 0.5, 0.5, "")
