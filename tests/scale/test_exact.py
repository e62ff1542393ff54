"""The nearest of all rows, whatever the batches they come in."""

from __future__ import annotations

import numpy as np
import pytest

from galago.errors import StorageError
from galago.scale.exact import Best, nearest
from galago.scale.reader import Vectors
from tests.helpers.albums import unit


def batches(rows: np.ndarray, size: int) -> list[Vectors]:
    places = np.arange(len(rows), dtype=np.int64) + 100
    return [
        Vectors(places[start : start + size], rows[start : start + size])
        for start in range(0, len(rows), size)
    ]


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("size", [1, 7, 64, 500])
def test_as_sorting_all_products_would(kind: str, size: int) -> None:
    rows = unit(500, 32).astype(kind)
    rows[300:310] = rows[:10]  # equals: the first first
    queries = unit(4, 32, seed=1)
    for query, near in zip(queries, nearest(batches(rows, size), queries, 25), strict=True):
        products = np.einsum("ij,j->i", rows.astype(np.float32), query)
        wanted = np.lexsort((np.arange(500), -products))[:25]
        assert near.places.tolist() == (wanted + 100).tolist()
        assert np.array_equal(near.scores, products[wanted])
        assert np.array_equal(near.vectors, rows[wanted].astype(np.float32))


def test_a_query_of_any_length() -> None:
    rows, query = unit(200, 16), unit(1, 16, seed=2)[0]
    whole = nearest(batches(rows, 50), [query], 5)[0]
    for length in (1e-3, 40.0):
        scaled = nearest(batches(rows, 50), [query * np.float32(length)], 5)[0]
        assert scaled.places.tolist() == whole.places.tolist()


def test_fewer_rows_than_are_asked_for_and_none() -> None:
    rows = unit(3, 8)
    assert len(nearest(batches(rows, 2), [rows[0]], 10)[0].places) == 3
    none = nearest([], [rows[0]], 10)[0]
    assert none.places.shape == (0,) and none.vectors.shape == (0, 8)
    best = Best(rows[0], 2)
    best.add(Vectors(np.empty(0, np.int64), np.empty((0, 8), np.float16)))
    assert len(best.found.places) == 0


def test_how_many_were_looked_at_is_told() -> None:
    heard: list[int] = []
    nearest(batches(unit(10, 8), 4), unit(1, 8), 2, heard.append)
    assert heard == [4, 8, 10]


def test_numbers_that_no_model_gives_are_refused() -> None:
    rows = unit(4, 8)
    rows[2, 3] = np.nan
    with pytest.raises(StorageError, match="odd numbers"):
        nearest(batches(rows, 4), [unit(1, 8)[0]], 2)
