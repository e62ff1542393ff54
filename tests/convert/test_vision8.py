"""Vision in 8 bits on a model's own weights: what passes, what strays, and what it gains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.vlm import open_checkpoint
from galago.convert import kinds, vision8
from galago.convert.folder import open_converted
from galago.convert.selfcheck import SelfCheck
from galago.convert.vision8 import BOUNDS, Vision8, check_vision8

FEW = 4


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last few of the pictures, as each is drawn and looked at twice."""

    def some() -> Iterator[Any]:
        return islice(kinds.pictures(), kinds.PICTURES - FEW, None)

    monkeypatch.setattr(vision8, "pictures", some)


def found(wide: Path, converted: Callable[[str], Path]) -> Vision8:
    opened = open_converted(converted("int8"))
    shares: list[float] = []
    result = check_vision8(open_checkpoint(wide), opened.tensors, opened.plan, shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    return result


def test_what_is_not_rounded_passes(
    few: None, wide: Path, converted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = vision8.vision_items
    monkeypatch.setattr(vision8, "vision_items", lambda source, *_: items(source, "fp32"))
    result = found(wide, converted)
    assert result.check.passed and result.check.cosine_min > 0.9999 and result.check.kl < 1e-4
    assert (result.pictures, result.wanted) == (FEW, "int8-int8")
    assert result.check.positions == FEW * vision8._POSITIONS
    assert result.wide > 0 and result.narrow > 0


def test_it_sees_what_8_bits_do(few: None, wide: Path, converted: Callable[[str], Path]) -> None:
    check = found(wide, converted).check
    assert 0 < check.cosine_min < 0.99999 and check.kl > 0 and check.bounds == BOUNDS


def test_broken_vision_fails(
    few: None, wide: Path, converted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = vision8._seen
    calls = 0

    def twice(*args: Any) -> list[np.ndarray]:
        nonlocal calls
        calls += 1
        features = seen(*args)
        return features if calls == 1 else features[::-1]  # another picture's

    monkeypatch.setattr(vision8, "_seen", twice)
    assert not found(wide, converted).check.passed


CHECK = SelfCheck(0.9971, 0.985, 0.991, 0.008, 512, 480, True, BOUNDS)


@pytest.mark.parametrize(
    ("check", "seconds", "words"),
    [
        (CHECK, (0.63, 0.4), "holds on these weights: cosine 0.9971 (least 0.9850), next tokens"),
        (CHECK, (0.63, 0.4), "it looks 1.6 times as fast here (0.630 s to 0.400 s a picture)"),
        (CHECK, (0.4, 0.63), "gains nothing here"),
        (dataclasses.replace(CHECK, passed=False), (0.63, 0.4), "strays on these weights"),
    ],
)
def test_what_is_said(check: SelfCheck, seconds: tuple[float, float], words: str) -> None:
    assert words in Vision8(check, 32, *seconds, "int8-int8").sentence()
