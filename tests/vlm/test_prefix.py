"""The pool of caches: what is known is not fed again, and no order of prompts changes an answer."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from galago.vlm.decode import generate
from galago.vlm.prefix import CachePool
from galago.vlm.sampling import SamplingOptions, make_sampler
from tests.helpers.fakes import FakeLanguage

GREEDY = make_sampler(SamplingOptions())
PROMPT = [3, 1, 4, 1, 5]


def feed(pool: CachePool, language: FakeLanguage, keys: list[int]) -> tuple[np.ndarray, int]:
    """Logits after `keys`, and how many positions were fed for them."""
    before = language.fed
    with pool.borrow(keys) as lease:
        logits = lease.cache.append(language.embed(keys[lease.cache.length :]))
    return logits, language.fed - before


def test_a_known_beginning_is_not_fed_again_and_changes_nothing() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    start = list(range(20))
    assert feed(pool, language, [*start, 30])[1] == 21
    cached, fed = feed(pool, language, [*start, 40, 41])
    assert fed == 2
    assert np.array_equal(cached, language.new_cache().append(language.embed([*start, 40, 41])))


def test_the_same_prompt_again_feeds_its_last_position() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    first, _ = feed(pool, language, PROMPT)
    again, fed = feed(pool, language, PROMPT)
    assert fed == 1 and np.array_equal(first, again)


def test_any_order_of_prompts_equals_fresh_ones() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    random = np.random.default_rng(4)
    for _ in range(200):
        keys = [int(one) for one in random.integers(0, 2, random.integers(1, 12))]
        logits, _ = feed(pool, language, keys)
        assert np.array_equal(logits, language.new_cache().append(language.embed(keys)))


def test_what_would_cost_more_to_continue_is_fed_anew() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache, pays=lambda known, new: known > new)
    feed(pool, language, PROMPT)
    changed = [*PROMPT[:2], *(49 - one for one in PROMPT[2:])]
    logits, fed = feed(pool, language, changed)
    assert fed == len(changed)
    assert np.array_equal(logits, language.new_cache().append(language.embed(changed)))


def test_generated_tokens_are_known_too() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    with pool.borrow(PROMPT) as lease:
        embeds = language.embed(PROMPT)
        ids = []
        for one in generate(language, lease.cache, embeds, GREEDY, set(), 6):
            lease.keys.append(one)
            ids.append(one)
    assert feed(pool, language, [*PROMPT, *ids, 9])[1] == 2  # the last id was never fed


def test_a_cache_is_lent_to_one_at_a_time() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    feed(pool, language, PROMPT)
    with pool.borrow(PROMPT) as one, pool.borrow(PROMPT) as other:
        assert one.cache is not other.cache


def test_a_failure_drops_the_cache() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    with pytest.raises(KeyboardInterrupt), pool.borrow(PROMPT) as lease:
        lease.cache.append(language.embed(PROMPT))
        raise KeyboardInterrupt
    assert feed(pool, language, PROMPT)[1] == len(PROMPT)


def test_only_a_few_are_kept() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache, keep=2)
    for start in range(6):
        feed(pool, language, [start] * 8)
    assert len(language.caches) == 2
    pool.clear()
    feed(pool, language, [5] * 8)
    assert len(language.caches) == 3


def test_none_are_kept_when_none_are_wanted() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache, keep=0)
    assert [feed(pool, language, PROMPT)[1] for _ in range(2)] == [len(PROMPT)] * 2


def test_many_threads() -> None:
    language = FakeLanguage(50)
    pool = CachePool(language.new_cache)
    wrong: list[list[int]] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(40):
            keys = [int(one) for one in random.integers(0, 2, random.integers(1, 9))]
            with pool.borrow(keys) as lease:
                logits = lease.cache.append(language.embed(keys[lease.cache.length :]))
            if not np.array_equal(
                logits, FakeLanguage(50).new_cache().append(language.embed(keys))
            ):
                wrong.append(keys)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
