"""Rates, batches and presets."""

from __future__ import annotations

import itertools

import pytest

from galago.errors import OptionError
from galago.train.clip.options import PRESETS, ClipOptions, with_preset


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine() -> None:
    options = ClipOptions(steps=100, warmup=10, rate=1.0)
    rates = [options.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.5) and rates[99] < 0.001
    assert all(later < sooner for sooner, later in itertools.pairwise(rates[10:]))


def test_a_batch_is_divided_among_the_processes() -> None:
    assert ClipOptions(batch=12).local_batch(4) == 3
    with pytest.raises(OptionError, match="--batch 12 can't be divided among 5 processes"):
        ClipOptions(batch=12).local_batch(5)


def test_a_preset_is_the_papers_and_what_is_chosen_goes_before_it() -> None:
    options = with_preset("s0", {"steps": 7, "rate": None})
    assert (options.batch, options.steps, options.rate) == (65_536, 7, 1e-3)
    assert with_preset(None, {}) == ClipOptions()
    assert all(with_preset(name, {}).weight == PRESETS[name].weight for name in PRESETS)


@pytest.mark.parametrize(
    "wrong", [{"weight": 1.5}, {"rate": 0}, {"batch": 0}, {"seed": -1}, {"precision": "x"}]
)
def test_what_cant_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        ClipOptions(**wrong)  # type: ignore[arg-type]
