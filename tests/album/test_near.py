"""Vectors near each other, in groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.album.near import near_groups
from tests.helpers.albums import stored, unit


def plain_groups(vectors: np.ndarray, threshold: float) -> set[frozenset[int]]:
    """Joined one pair at a time, without blocks."""
    near = vectors @ vectors.T >= threshold
    group = list(range(len(vectors)))
    for one, other in zip(*np.nonzero(near), strict=True):
        old, new = group[other], group[one]
        group = [new if label == old else label for label in group]
    found = [frozenset(i for i, g in enumerate(group) if g == label) for label in set(group)]
    return {members for members in found if len(members) > 1}


@pytest.mark.parametrize("block", [7, 64, 1000])
@pytest.mark.parametrize("many", [0.0, 1.0])
def test_blocks_find_the_groups_of_the_plain_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, many: float
) -> None:
    monkeypatch.setattr("galago.album.near._BLOCK", block)
    monkeypatch.setattr("galago.album.near._MANY", many)
    rng = np.random.default_rng(4)
    base = unit(40, 16)
    vectors = np.repeat(base, rng.integers(1, 9, 40), axis=0)
    vectors = vectors + rng.normal(0, 0.04, vectors.shape).astype(np.float32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True))[
        rng.permutation(len(vectors))
    ]
    rows = stored(tmp_path / "v", vectors.astype(np.float32))
    kept = rows.take(slice(None))
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    shares: list[float] = []
    groups = near_groups(rows, 0.97, (), shares.append)
    assert {frozenset(group) for group in groups} == plain_groups(kept, 0.97)
    assert any(len(group) > 2 for group in groups) and all(g == sorted(g) for g in groups)
    assert shares == sorted(shares) and shares[-1] == 1
    left = groups[0][0]
    rest = near_groups(rows, 0.97, [left])
    kept[left] = 0
    assert {frozenset(group) for group in rest} == plain_groups(kept, 0.97)


@pytest.mark.filterwarnings("error")
def test_rows_without_length_are_near_nothing(tmp_path: Path) -> None:
    vectors = np.repeat(unit(3, 16), 2, axis=0)
    vectors[2:4] = 0
    assert near_groups(stored(tmp_path / "v", vectors), 0.9) == [[0, 1], [4, 5]]
