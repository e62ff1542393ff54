"""The loop feeds what it must and no more, stops where it should, and caches don't lie."""

from __future__ import annotations

import itertools

import numpy as np

from galago.vlm.decode import generate, log_probabilities
from galago.vlm.sampling import SamplingOptions, make_sampler
from tests.helpers.fakes import FakeLanguage, ScriptedLanguage

GREEDY = make_sampler(SamplingOptions())
PROMPT = [3, 1, 4, 1, 5]


def said(language: FakeLanguage, most: int, stop: set[int] | None = None) -> list[int]:
    cache = language.new_cache()
    return list(generate(language, cache, language.embed(PROMPT), GREEDY, stop or set(), most))


def test_greedy_equals_feeding_everything_each_time() -> None:
    language = FakeLanguage(50)
    ids = list(PROMPT)
    for _ in range(8):
        ids.append(int(language.new_cache().append(language.embed(ids)).argmax()))
    assert said(language, 8) == ids[len(PROMPT) :]


def test_ends_before_a_stop_id_and_at_the_limit() -> None:
    language = ScriptedLanguage(50, [7, 8, 9, 10])
    assert said(language, 4) == [7, 8, 9, 10]
    assert said(language, 3) == [7, 8, 9]
    assert said(language, 4, {9, 30}) == [7, 8]
    assert said(language, 4, {7}) == []


def test_no_tokens_no_work() -> None:
    language = FakeLanguage(50)
    assert said(language, 0) == [] and language.fed == 0


def test_the_last_token_is_not_fed() -> None:
    language = ScriptedLanguage(50, [7, 8, 9])
    said(language, 3)
    assert language.fed == len(PROMPT) + 2


def test_an_id_is_fed_only_when_the_next_is_asked_for() -> None:
    language = ScriptedLanguage(50, [7, 8, 9])
    cache = language.new_cache()
    ids = generate(language, cache, language.embed(PROMPT), GREEDY, set(), 3)
    assert cache.length == 0
    assert list(itertools.islice(ids, 2)) == [7, 8]
    assert cache.length == len(PROMPT) + 1
    ids.close()  # type: ignore[attr-defined]
    assert cache.length == len(PROMPT) + 1


def test_log_probabilities_one_by_one_or_together() -> None:
    language = FakeLanguage(50)
    ids = [int(one) for one in np.random.default_rng(1).integers(0, 50, 70)]
    cache = language.new_cache()
    first = cache.append(language.embed(PROMPT))
    found = log_probabilities(language, cache, first, ids)
    assert cache.length == len(PROMPT) + len(ids) - 1
    other, expected = language.new_cache(), []
    logits = other.append(language.embed(PROMPT)).astype(np.float64)
    for one in ids:
        expected.append(logits[one] - np.log(np.exp(logits).sum()))
        logits = other.append(language.embed([one])).astype(np.float64)
    assert np.allclose(found, expected) and len(found) == 70
