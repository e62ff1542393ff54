"""Groups of like photos."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.album import find_duplicates
from galago.album.duplicates import near_groups
from galago.errors import OptionError
from tests.helpers.albums import photo, stored, unit, update


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
    monkeypatch.setattr("galago.album.duplicates._BLOCK", block)
    monkeypatch.setattr("galago.album.duplicates._MANY", many)
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


def test_copies_and_near_copies(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    first = photo(folder / "a.png", "red", 1)
    shutil.copy2(first, folder / "b.png")
    Image.open(first).save(folder / "c.jpg", quality=95)
    alone = photo(folder / "d.png", "blue", 2)
    photo(folder / "e.png", "green", 3)
    shutil.copy2(alone, folder / "z.png")
    update(tmp_path / "album", folder)
    groups = find_duplicates(tmp_path / "album")
    assert [[Path(copy.path).name for copy in group] for group in groups] == [
        ["c.jpg", "a.png", "b.png"],
        ["d.png", "z.png"],
    ]
    sizes = [copy.size for copy in groups[0]]
    assert sizes == sorted(sizes, reverse=True) and groups[0][0].likeness == 1
    assert 0.96 <= groups[0][1].likeness == groups[0][2].likeness < 1
    assert [copy.same for copy in groups[0]] == [True, False, False]
    assert all(copy.likeness == 1 and copy.same for copy in groups[1])
    assert (
        len(find_duplicates(tmp_path / "album", 1.0)) == 2
    )  # the same content, whatever the threshold
    with pytest.raises(OptionError, match="threshold"):
        find_duplicates(tmp_path / "album", 1.5)


def test_the_same_pixels_in_another_file_are_alike_but_not_the_same(tmp_path: Path) -> None:
    for seed in range(9):  # float16 makes some vectors shorter than others
        first = photo(tmp_path / "photos" / f"{seed}.png", "red", seed)
        Image.open(first).save(tmp_path / "photos" / f"{seed} again.png", compress_level=0)
    update(tmp_path / "album", tmp_path / "photos")
    groups = find_duplicates(tmp_path / "album", 1.0)
    assert [[Path(copy.path).name for copy in group] for group in groups] == [
        [f"{seed} again.png", f"{seed}.png"] for seed in range(9)
    ]
    assert all([copy.same for copy in group] == [True, False] for group in groups)
