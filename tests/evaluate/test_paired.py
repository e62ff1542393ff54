"""Tests in pairs, beside their definitions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galago.evaluate.paired import difference, mcnemar


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_adds_up_what_is_no_likelier(better: int, worse: int) -> None:
    """The binomial test by its definition, in fractions."""
    count = better + worse
    chance = [Fraction(comb(count, k), 2**count) for k in range(count + 1)]
    p = sum(one for one in chance if one <= chance[better])
    assert mcnemar(better, worse) == pytest.approx(float(p))


def test_mcnemar_of_thousands() -> None:
    assert mcnemar(3000, 2000) < 1e-40 and mcnemar(2500, 2500) == 1
    assert mcnemar(0, 5) == 2 / 32


def test_mcnemar_takes_each_coefficient_from_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("math.comb", None)  # anew for each: minutes for twenty thousand answers
    assert mcnemar(3000, 3100) == pytest.approx(0.2, abs=0.01)


def test_right_and_wrong() -> None:
    before, after = [1.0, 0, 0, 0, 1, 1], [1.0, 1, 1, 1, 0, 1]
    found = difference(before, after, "abcdef")
    assert found.mean == pytest.approx(2 / 6) and found.test == "mcnemar"
    assert found.p == mcnemar(3, 1) and found.count == 6
    assert found.low <= found.mean <= found.high
    turned = difference(after, before, "abcdef")
    assert (turned.mean, turned.p) == (-found.mean, found.p)


def test_scores_are_told_apart_by_a_bootstrap() -> None:
    rng = np.random.default_rng(3)
    before = rng.random(200) * 0.5
    shift = rng.normal(0.05, 0.1, 200)
    found = difference(before.tolist(), (before + shift).tolist(), range(200))
    half = 1.96 * shift.std() / np.sqrt(200)
    assert found.test == "bootstrap" and found.p < 0.01
    assert (found.low, found.high) == pytest.approx(
        (shift.mean() - half, shift.mean() + half), abs=0.15 * half
    )
    same = difference(before.tolist(), before[::-1].tolist(), range(200))
    assert same.p > 0.05


def test_several_answers_about_a_picture_are_no_pairs_of_their_own() -> None:
    found = difference([0.0] * 8, [1.0] * 8, "aaaabbbb")
    assert found.test == "bootstrap" and found.mean == found.low == found.high == 1


def test_nothing_changed() -> None:
    found = difference([1.0, 0.0], [1.0, 0.0], "ab")
    assert (found.mean, found.p) == (0, 1)
    graded = difference([0.5, 0.2], [0.5, 0.2], "ab")
    assert (graded.mean, graded.p) == (0, 1)
