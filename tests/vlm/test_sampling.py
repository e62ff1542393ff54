"""Greedy is argmax, the nucleus is the smallest set that reaches p, and a seed repeats itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from galago.errors import ModelError, OptionError
from galago.vlm.sampling import SamplingOptions, make_sampler

RNG = np.random.default_rng(0)


def logits(vocab: int = 5000, spread: float = 3.0) -> np.ndarray:
    return (RNG.normal(size=vocab) * spread).astype(np.float32)


def drawn(options: SamplingOptions, one: np.ndarray, times: int) -> np.ndarray:
    sampler = make_sampler(options)
    return np.array([sampler(one) for _ in range(times)])


def softmax(one: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    weights = np.exp((one - one.max()).astype(np.float64) / temperature)
    return weights / weights.sum()


def test_greedy_is_argmax_and_the_first_of_equals() -> None:
    sampler = make_sampler(SamplingOptions())
    for _ in range(20):
        one = logits()
        assert sampler(one) == int(one.argmax())
    assert sampler(np.array([0, 2, 2, 1], np.float32)) == 1


def test_nearly_no_temperature_is_greedy() -> None:
    one = logits()
    assert set(drawn(SamplingOptions(temperature=1e-8, seed=1), one, 20)) == {int(one.argmax())}
    assert set(drawn(SamplingOptions(1.0, top_p=1e-9, seed=1), one, 20)) == {int(one.argmax())}


@pytest.mark.parametrize("top_p", [0.3, 0.7, 0.95, 1.0])
def test_same_seed_same_draws(top_p: float) -> None:
    one = logits(spread=1)
    options = SamplingOptions(temperature=1.2, top_p=top_p, seed=7)
    assert (drawn(options, one, 60) == drawn(options, one, 60)).all()
    other = SamplingOptions(temperature=1.2, top_p=top_p, seed=8)
    assert (drawn(options, one, 60) != drawn(other, one, 60)).any()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_distribution(temperature: float) -> None:
    one = np.array([2, 1, 0, -1, 0.5], np.float32)
    found = drawn(SamplingOptions(temperature, seed=3), one, 20_000)
    shares = np.bincount(found, minlength=5) / len(found)
    assert np.abs(shares - softmax(one, temperature)).max() < 0.015


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("vocab", [50, 3000])
def test_the_nucleus_is_the_smallest_set_that_reaches_p(vocab: int, top_p: float) -> None:
    # Flat enough that with 3000 the nucleus is wider than the first look at the likeliest 1024.
    one = logits(vocab, spread=0.3)
    chances = softmax(one)
    order = np.argsort(-chances)
    kept = order[: int(np.searchsorted(np.cumsum(chances[order]), top_p)) + 1]
    found = drawn(SamplingOptions(1.0, top_p=top_p, seed=5), one, 4000 if vocab == 50 else 800)
    assert set(found) <= set(kept.tolist())
    if vocab == 50:  # each of them is drawn, as often as its share of the kept
        shares = np.bincount(found, minlength=vocab)[kept] / len(found)
        assert np.abs(shares - chances[kept] / chances[kept].sum()).max() < 0.04


def test_ties_at_the_edge_of_the_nucleus() -> None:
    found = drawn(SamplingOptions(1.0, top_p=0.5, seed=1), np.zeros(4, np.float32), 200)
    assert set(found) == {0, 1}


def test_what_is_not_a_number_is_refused() -> None:
    for options in (SamplingOptions(), SamplingOptions(temperature=1)):
        for bad in (np.nan, np.inf):
            one = np.array([0, bad, 1], np.float32)
            with pytest.raises(ModelError, match="fp32"):
                make_sampler(options)(one)


def test_minus_infinity_is_never_drawn() -> None:
    one = np.array([0, -np.inf, 0], np.float32)
    assert set(drawn(SamplingOptions(1.0, seed=2), one, 100)) == {0, 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": "warm"},
        {"top_p": 0},
        {"top_p": 1.1},
        {"temperature": 10**400},
        {"temperature": True},
        {"top_k": -1},
        {"top_k": 2.5},
        {"top_k": True},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"min_p": float("nan")},
        {"repetition_penalty": 0},
        {"repetition_penalty": 11},
        {"repetition_penalty": float("inf")},
        {"max_tokens": -1},
        {"max_tokens": 2.5},
        {"seed": -3},
        {"seed": "x"},
        {"stop": ("",)},
        {"stop": (3,)},
    ],
)
def test_values_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        SamplingOptions(**wrong)


@pytest.mark.parametrize("more", [{"top_k": 3}, {"min_p": 0.2}, {"top_p": 0.9}, {}])
@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-30, 1e308])
def test_no_temperature_is_too_odd_to_compute_with(
    temperature: float, more: dict[str, Any]
) -> None:
    one = logits()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = drawn(SamplingOptions(temperature, seed=1, **more), one, 20)
    if temperature < 1:
        assert set(found) == {int(one.argmax())}


@pytest.mark.parametrize("top_k", [1, 3, 1500])
def test_top_k_draws_among_the_k_likeliest_as_often_as_their_share(top_k: int) -> None:
    one = logits(3000, spread=0.3 if top_k > 9 else 1)
    kept = np.argsort(-one, kind="stable")[:top_k]
    found = drawn(SamplingOptions(1.0, seed=5, top_k=top_k), one, 2000)
    assert set(found) <= set(kept.tolist())
    if top_k < 9:
        shares = np.bincount(found, minlength=3000)[kept] / len(found)
        assert np.abs(shares - softmax(one[kept])).max() < 0.04


def test_top_k_beyond_the_vocabulary_and_among_equals() -> None:
    one = np.zeros(4, np.float32)
    assert set(drawn(SamplingOptions(1.0, seed=1, top_k=10**30), one, 200)) == {0, 1, 2, 3}
    assert set(drawn(SamplingOptions(1.0, seed=1, top_k=2), one, 200)) == {0, 1}


def test_min_p_keeps_what_is_nearly_as_likely_as_the_likeliest() -> None:
    one = np.log(np.array([0.5, 0.26, 0.14, 0.1], np.float32))
    assert set(drawn(SamplingOptions(1.0, seed=1, min_p=0.25), one, 400)) == {0, 1, 2}
    assert set(drawn(SamplingOptions(1.0, seed=1, min_p=1), one, 50)) == {0}
    # After the temperature: hot enough, all of them are.
    assert set(drawn(SamplingOptions(3.0, seed=1, min_p=0.25), one, 400)) == {0, 1, 2, 3}


def test_the_nucleus_counts_what_top_k_left() -> None:
    one = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    # Of 0.4 + 0.3, 0.55 is reached by the first alone; of all it would take two.
    assert set(drawn(SamplingOptions(1.0, 0.55, seed=1, top_k=2), one, 100)) == {0}
    assert set(drawn(SamplingOptions(1.0, 0.55, seed=1), one, 100)) == {0, 1}


def test_a_penalty_keeps_greedy_from_saying_the_same_again() -> None:
    one = np.array([3, 2, 1, -1, -1.2], np.float32)
    sampler = make_sampler(SamplingOptions(repetition_penalty=2))
    # 3 becomes 1.5, then 2 becomes 1; from then on 1.5 stays the largest.
    assert [sampler(one) for _ in range(5)] == [0, 1, 0, 0, 0]
    below = np.array([-1, -1.2, -3], np.float32)
    sampler = make_sampler(SamplingOptions(repetition_penalty=2))
    assert [sampler(below) for _ in range(3)] == [0, 1, 0]  # -2 and -2.4
    assert (one == np.array([3, 2, 1, -1, -1.2], np.float32)).all(), "logits are somebody else's"
    assert make_sampler(SamplingOptions(repetition_penalty=2))(one) == 0, "each reply for itself"


def test_a_penalty_counts_for_what_is_drawn_too() -> None:
    one = np.array([9, 0, 0], np.float32)
    plain = drawn(SamplingOptions(1.0, seed=3), one, 300)
    once = drawn(SamplingOptions(1.0, seed=3, repetition_penalty=10), one, 300)
    assert np.mean(plain == 0) > 0.99 and np.mean(once == 0) < 0.7


def test_one_stop_string_may_stand_alone() -> None:
    assert SamplingOptions(stop="end").stop == ("end",)  # type: ignore[arg-type]
    assert SamplingOptions(stop=["a", "b"]).stop == ("a", "b")  # type: ignore[arg-type]
