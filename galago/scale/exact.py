"""The nearest rows of a table: all are looked at, and only the best so far are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.album.vectors import Block, best
from galago.scale.reader import ODD, Vectors

__all__ = ["Best", "Near", "nearest"]

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Near:
    """Rows by their products with a query, the best first: places and products (n,), and their
    vectors (n, dim)."""

    places: NDArray[np.int64]
    scores: Float
    vectors: Float


class Best:
    """The k rows of the highest product with a query (dim,), of those that came by so far.

    As exact as an album (`galago.album.vectors.Block.nearest`): of equals the first first.
    """

    def __init__(self, query: Float, k: int) -> None:
        dim = len(query)
        self._query, self._k = query, k
        self.found = Near(
            np.empty(0, np.int64), np.empty(0, np.float32), np.empty((0, dim), np.float32)
        )

    def add(self, vectors: Vectors) -> None:
        """Rows come by; StorageError for numbers that aren't finite."""
        found, k = self.found, self._k
        if not len(vectors.places) or not k:
            return
        block = Block(vectors.stored, ODD)
        above = float(found.scores[-1]) if len(found.scores) >= k else -np.inf
        places, scores = block.nearest(self._query, k, above=above)
        both = np.concatenate([found.scores, scores])
        chosen = best(both, k)
        self.found = Near(
            np.concatenate([found.places, vectors.places[places]])[chosen],
            both[chosen],
            np.concatenate([found.vectors, block.take(places)])[chosen],
        )


def nearest(
    some: Iterable[Vectors],
    queries: Sequence[Float],
    k: int,
    report: Callable[[int], None] = lambda rows: None,
) -> list[Near]:
    """The k nearest rows to each of some queries, in one pass and in memory for a batch and these.

    `report` hears how many rows were looked at.  StorageError as `Best.add`.
    """
    found = [Best(query, k) for query in queries]
    rows = 0
    for vectors in some:
        for one in found:
            one.add(vectors)
        rows += len(vectors.places)
        report(rows)
    return [one.found for one in found]
