"""The pictures that 8-bit vision is checked by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.convert.kinds import PICTURES, pictures
from galago.errors import OptionError


def test_they_are_32_and_each_another() -> None:
    seen = [np.asarray(one.convert("RGB").resize((64, 64)), np.float64) for one in pictures()]
    assert len(seen) == PICTURES == 32
    for number, one in enumerate(seen):
        assert all(abs(one - other).mean() > 1 for other in seen[:number]), number
    # of several kinds: bright and dark, grey and coloured
    assert min(one.mean() for one in seen) < 30 and max(one.mean() for one in seen) > 220
    greys = [np.ptp(one, axis=-1).mean() for one in seen]
    assert min(greys) < 8 and max(greys) > 60


def test_they_are_the_same_every_time() -> None:
    first, second = ([one.tobytes() for one in pictures()] for _ in range(2))
    assert first == second


def test_without_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.convert.kinds.EXAMPLES", tmp_path)
    with pytest.raises(OptionError, match="examples are not whole"):
        next(pictures())
