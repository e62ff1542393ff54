"""A folder of Parquet files to search: by all of its vectors, as it has no index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError
from galago.scale.parquet_table import ParquetTable
from galago.scale.reader import Reader, Record

__all__ = ["ParquetReader"]

_ROWS = 8192  # a batch


class ParquetReader(Reader):
    """The files of a table that `galago embed` made; a row's place is its number over all."""

    def __init__(self, place: str) -> None:
        """OptionError where there is none, or another program's; MissingExtraError."""
        self._table = ParquetTable(place)
        if self._table.made is None:
            place = self._table.place
            raise OptionError(f"there is no table at {place} yet: galago embed IN {place} makes it")
        self.place, self.made = self._table.place, self._table.made
        self.version = hashlib.sha256("\n".join(self._table.parts).encode()).hexdigest()

    def count(self, where: str = "") -> int:
        _refuse(where)
        return sum(self._table.rows_in(part) for part in self._table.parts)

    def failed(self, where: str = "") -> int:
        return sum(
            len(batch) - batch.column("error").null_count
            for _, batch in self.batches(["error"], where)
        )

    def batches(
        self, columns: Sequence[str], where: str = ""
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        _refuse(where)
        start = 0
        for batch in self._table.batches(columns, _ROWS):
            yield np.arange(start, start + len(batch), dtype=np.int64), batch
            start += len(batch)

    def take(self, places: NDArray[np.int64], columns: Sequence[str]) -> list[Record]:
        wanted = np.unique(places)
        found: dict[int, Record] = {}
        for there, batch in self.batches(columns) if len(wanted) else ():
            first, last = np.searchsorted(wanted, (there[0], there[-1] + 1))
            some = wanted[first:last]
            rows = batch.take(some - there[0]).to_pylist()
            found |= dict(zip(some.tolist(), rows, strict=True))
            if last == len(wanted):
                break
        return [found[place] for place in places.tolist()]


def _refuse(where: str) -> None:
    if where:
        raise OptionError("--where needs a Lance table; a Parquet folder is searched as a whole")
