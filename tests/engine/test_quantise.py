"""Rounding: how far a weight may move, and exact cases."""

from __future__ import annotations

import numpy as np
import pytest

from galago.engine import quantise


def matrix(rows: int = 7, columns: int = 256) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)


def unpack(packed: np.ndarray) -> np.ndarray:
    low, high = packed & 0x0F, packed >> 4
    both = np.stack([low, high], axis=-1).reshape(packed.shape[0], -1).astype(np.int16)
    return np.where(both > 7, both - 16, both)


def test_int8_is_within_half_a_step() -> None:
    x = matrix()
    q, scale = quantise.int8_rows(x)
    assert q.dtype == np.int8 and scale.shape == (7, 1)
    assert np.all(np.abs(q * scale - x) <= scale * 0.5 + 1e-7)


@pytest.mark.parametrize("group", [32, 128])
def test_int4_is_within_a_step(group: int) -> None:
    x = matrix()
    packed, scale = quantise.int4_groups(x, group)
    assert packed.shape == (7, 128) and scale.shape == (7, 256 // group, 1)
    values = unpack(packed).reshape(7, -1, group)
    error = np.abs(values * scale - x.reshape(7, -1, group))
    # +8 has no code: the value opposite the extreme may be off by a whole step.
    assert np.all(error <= np.abs(scale) * 1.0 + 1e-6)
    assert error.mean() <= np.abs(scale).mean() * 0.3


def test_rows_of_zeros_stay_zero() -> None:
    zero = np.zeros((2, 128), np.float32)
    q, scale = quantise.int8_rows(zero)
    packed, scales = quantise.int4_groups(zero, 128)
    assert not q.any() and not packed.any()
    assert np.isfinite(scale).all() and np.isfinite(scales).all()


def test_group_size_divides_the_row() -> None:
    assert quantise.group_size(896, 128) == 128
    assert quantise.group_size(4864, 128) == 128
    assert quantise.group_size(96, 128) == 32
    assert quantise.group_size(50, 128) == 0
