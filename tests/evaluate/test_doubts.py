"""Whether doubt is right: bins, the calibration error, both sides of the border."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galago.evaluate.doubts import calibration
from galago.evaluate.intervals import wilson

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@given(ANSWERS)
def test_the_error_is_its_formula(answers: list[tuple[float, bool]]) -> None:
    """https://arxiv.org/abs/1706.04599, equation 3, over ten bins of equal width."""
    values, right = (np.array(one) for one in zip(*answers, strict=True))
    ece, edges = 0.0, np.arange(11) / 10
    for low, high in pairwise(edges):
        inside = (values >= low) & ((values < high) | (high == 1))
        if inside.any():
            ece += inside.mean() * abs(values[inside].mean() - right[inside].mean())
    found = calibration([None] * len(right), values.tolist(), [False] * len(right), right.tolist())
    if all(abs(value * 10 - round(value * 10)) > 1e-9 or value in (0, 1) for value in values):
        assert found.ece == pytest.approx(ece)
    assert sum(one.count for one in found.bins) == len(right)


def test_measured_doubt_is_taken_before_confidence() -> None:
    known = [0.95, 0.9, 0.2, 0.1]
    found = calibration(known, [0.5] * 4, [False, False, True, True], [True, False, True, False])
    assert found.by == "known" and [one.low for one in found.bins] == [0.1, 0.2, 0.9]
    assert found.sure is not None and found.unsure is not None
    assert (found.sure.count, found.sure.right) == (2, 0.5)
    assert (found.sure.low, found.sure.high) == wilson(1, 2)
    one = calibration([0.9], [0.9], [False], [True])
    assert one.unsure is None and one.sure is not None and one.ece == pytest.approx(0.1)


def test_without_measured_doubt_there_are_no_sides() -> None:
    found = calibration([None, 0.5], [1.0, 0.5], [False, False], [True, True])
    assert (found.by, found.sure, found.unsure) == ("confidence", None, None)
    assert found.ece == pytest.approx(0.25)
