"""Judging a conversion by its features and its next words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.vlm import open_checkpoint
from galago.convert.load import load_sessions
from galago.convert.selfcheck import judge, reference_of
from galago.engine import layers
from tests.helpers.checkpoints import TINY_TEXT, tiny_llava
from tests.helpers.running import compare


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_judging(precision: str) -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((10, 32)).astype(np.float32)
    logits = 3 * rng.standard_normal((40, 500)).astype(np.float32)
    assert judge([(features, features)], [(logits, logits)], precision).passed
    turned = features.copy()
    turned[3] *= -1
    assert not judge([(features, turned)], [(logits, logits)], precision).passed
    other = 3 * rng.standard_normal((40, 500)).astype(np.float32)
    result = judge([(features, features)], [(logits, other)], precision)
    assert not result.passed and result.top1 < 0.2 and result.kl > 1
    assert "FAILED" in result.sentence() and "\n" not in result.sentence()
    broken = np.full_like(features, np.nan)
    assert not judge([(features, broken)], [(logits, logits)], precision).passed


def test_two_loaded_models_compared(converted: Callable[[str], Path]) -> None:
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    prompts = [list(range(40, 80))]
    reference = load_sessions(converted("fp32"))
    figures = compare(load_sessions(converted("int8")), reference, [pixels], prompts)
    assert figures.passed and figures.positions == 40
    assert figures.cosine_min < 1.0 and figures.kl > 0
    same_again = compare(reference, reference, [pixels], prompts)
    assert same_again.kl == 0 and same_again.top1 == 1.0


def test_undecided_positions_are_left_out() -> None:
    features = np.ones((1, 4), np.float32)
    tied = np.zeros((3, 100), np.float32)
    tied[:, 3] = 1e-3
    nudged = tied.copy()
    nudged[:, 7] = 1e-3
    result = judge([(features, features)], [(tied, nudged)], "int8")
    assert (result.positions, result.decided, result.passed) == (3, 0, True)
    assert "100.0% of 0" not in result.sentence() and "no next token" in result.sentence()


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_a_check_of_nothing_is_a_failure(precision: str) -> None:
    """A reference that prefers no word at all says nothing of the one beside it."""
    features, flat = np.ones((1, 4), np.float32), np.zeros((3, 100), np.float32)
    flat_result = judge([(features, features)], [(flat, flat)], precision)
    assert not flat_result.passed and "FAILED" in flat_result.sentence()
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, 100)).astype(np.float32)
    assert judge([(features, features)], [(logits, logits)], precision).passed
    for nothing in (([], [(logits, logits)]), ([(features, features)], [])):
        assert not judge(*nothing, precision).passed  # type: ignore[arg-type]
    empty = logits[:0]
    assert not judge([(features, features)], [(empty, empty)], precision).passed


def test_how_far_the_reference_is_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer at a time: of a large model that takes minutes."""
    told: list[float] = []
    monkeypatch.setattr(layers, "layers_at_once", lambda _: 1)
    text = replace(TINY_TEXT, layers=5)
    reference_of(open_checkpoint(tiny_llava(tmp_path, text=text)), told.append)
    assert told == sorted(told) and told[-1] == 1
    assert len({share for share in told if 0.4 < share < 1}) == 5
