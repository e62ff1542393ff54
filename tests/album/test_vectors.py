"""Vectors in a file: exactly what a plain product gives, whole rows or an error."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from galago.album import vectors as vectors_module
from galago.album.vectors import Rows, VectorFile, best
from galago.errors import StorageError
from tests.helpers.albums import POSIX, stored, unit


@pytest.mark.parametrize(("count", "dim", "at_once"), [(1, 7, 9), (1000, 64, 7), (30_001, 48, 999)])
def test_the_nearest_are_those_of_the_plain_product(
    tmp_path: Path, count: int, dim: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, query = unit(count, dim), unit(1, dim, 1)[0]
    plain = vectors.astype(np.float16).astype(np.float32) @ query
    rows = stored(tmp_path / "v", vectors)
    for size in (at_once, count):
        monkeypatch.setattr(vectors_module, "_AT_ONCE", size)
        monkeypatch.setattr(vectors_module, "_AGAIN", size)
        for k in (1, 100, count + 5):
            places, scores = rows.nearest(query, k)
            assert scores.dtype == np.float32 and len(places) == min(k, count)
            assert np.allclose(scores, np.sort(plain)[::-1][:k], atol=1e-6)
            assert np.allclose(plain[places], scores, atol=1e-6) and len({*places}) == len(places)


def test_the_nearest_are_right_where_float16_cannot_tell_them_apart(tmp_path: Path) -> None:
    """Rows that differ by less than what the query loses when it is made float16."""
    rng = np.random.default_rng(5)
    query = unit(1, 64, 1)[0]
    vectors = query + rng.normal(0, 1e-3, (3000, 64)).astype(np.float32)
    rows = stored(tmp_path / "v", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    exact = rows.take(slice(None)).astype(np.float64) @ query
    rough = rows.take(slice(None)) @ query.astype(np.float16).astype(np.float32)
    assert set(np.argsort(-rough)[:50]) != set(np.argsort(-exact)[:50])
    places, scores = rows.nearest(query, 50)
    assert np.allclose(scores, np.sort(exact)[::-1][:50], atol=2e-7)
    gone = places[::2]
    fewer, _ = rows.nearest(query, 50, gone)
    assert not {*fewer} & {*gone} and {*places[1::2]} < {*fewer}
    assert len(rows.nearest(query, 5, np.arange(len(rows)))[0]) == 0


def test_every_float16_that_a_unit_vector_can_hold_is_multiplied_right(tmp_path: Path) -> None:
    bits = np.arange(0x3C01, dtype=np.uint16)  # 0 to 1, the subnormal ones too
    numbers = np.concatenate([bits, bits | 0x8000]).view(np.float16).astype(np.float32)[:, None]
    rows = stored(tmp_path / "v", numbers)
    places, scores = rows.nearest(np.array([0.5], np.float32), len(numbers))
    assert np.array_equal(scores, numbers[places, 0] / 2)
    assert np.array_equal(scores, np.sort(numbers[:, 0])[::-1] / 2)


def test_the_best_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(3)
    for count in (1, 5, 200):
        scores = rng.integers(0, 9, count).astype(np.float32)  # many equals
        full = np.argsort(-scores, kind="stable")
        for k in (1, 3, 50, 500):
            assert np.array_equal(best(scores, k), full[:k])


def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    vectors = unit(6, 8)
    stored(tmp_path / "v", vectors)
    with (tmp_path / "v").open("ab") as file:
        file.write(b"part of a row")
    with VectorFile(tmp_path / "v", 8, 4) as file:
        file.write(4, vectors[:1])
    assert (tmp_path / "v").stat().st_size == 5 * 8 * 2
    assert np.allclose(Rows(tmp_path / "v", 8, 5).take(slice(4, 5)), vectors[:1], atol=1e-3)


@POSIX
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_vectors_that_are_no_file_are_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "v"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(StorageError, match="damaged.*galago index --fresh"):
        Rows(path, 4, 10)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_told(tmp_path: Path, odd: float) -> None:
    vectors = unit(10, 8)
    vectors[3, 2] = odd
    rows = stored(tmp_path / "v", vectors)
    with pytest.raises(StorageError, match="damaged.*galago index --fresh"):
        rows.nearest(unit(1, 8)[0], 3)
    with pytest.raises(StorageError, match="damaged.*galago index --fresh"):
        rows.take(np.array([3]))
    assert len(rows.take(np.array([2, 4]))) == 2


def test_lost_rows_are_told(tmp_path: Path) -> None:
    stored(tmp_path / "v", unit(6, 8))
    os.truncate(tmp_path / "v", 50)
    for opened in (lambda: Rows(tmp_path / "v", 8, 6), lambda: VectorFile(tmp_path / "v", 8, 6)):
        with pytest.raises(StorageError, match="damaged.*galago index --fresh"):
            opened()
