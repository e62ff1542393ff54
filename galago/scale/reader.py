"""A table as whoever searches it reads it: some rows at a time, never all of them in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError
from galago.scale.rows import Made

__all__ = ["ODD", "Index", "Reader", "Record", "Vectors", "exact_name"]

Record = dict[str, Any]
# What StorageError says of numbers that galago doesn't write.
ODD = "the table holds vectors with odd numbers: make it again"


@dataclass(frozen=True)
class Vectors:
    """Rows that have a vector: their places in the table (n,), and the vectors (n, dim) as they
    are kept, float16 or float32."""

    places: NDArray[np.int64]
    stored: NDArray[Any]


@dataclass(frozen=True)
class Index:
    """An index of a table's vectors; `missing`: rows that were added since it was built."""

    kind: str
    rows: int
    missing: int


class Reader(ABC):
    """A table that is there, as it was when it was opened: what is written later isn't seen.

    `place` is where, `made` what its rows have in common, `version` what no other state of this
    table is called.  A row's place is a number that `take` knows it by.
    """

    place: str
    made: Made
    version: str

    @abstractmethod
    def count(self, where: str = "") -> int:
        """Rows, those with an error too; that fulfil `where`, in SQL; OptionError for what is
        none."""

    @abstractmethod
    def failed(self, where: str = "") -> int:
        """Rows with an error, which have no vector."""

    @abstractmethod
    def batches(
        self, columns: Sequence[str], where: str = ""
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """All rows in order, some thousands at a time: their places, and a pyarrow.RecordBatch.

        StorageError for what can't be read.
        """

    @abstractmethod
    def take(self, places: NDArray[np.int64], columns: Sequence[str]) -> list[Record]:
        """These rows, in this order."""

    def index(self) -> Index | None:
        """The index of its vectors, if it has one."""
        return None

    def indexed(self, query: NDArray[np.float32], k: int, where: str = "") -> Vectors:
        """About the k rows nearest to a query (dim,) by the index, in no order."""
        raise NotImplementedError

    def vectors(self, where: str = "") -> Iterator[Vectors]:
        """All vectors in order, some thousands at a time."""
        for places, batch in self.batches(["vector"], where):
            yield self.held(places, batch.column("vector"))

    def rows(self, columns: Sequence[str]) -> Iterator[list[Record]]:
        """All rows in order, some thousands at a time, with `vector` (an array, or None) too."""
        for places, batch in self.batches([*columns, "vector"]):
            records: list[Record] = batch.select(list(columns)).to_pylist()
            for record in records:
                record["vector"] = None
            held = self.held(np.arange(len(places)), batch.column("vector"))
            for at, vector in zip(held.places.tolist(), held.stored, strict=True):
                records[at]["vector"] = vector
            yield records

    def held(self, places: NDArray[np.int64], column: Any) -> Vectors:
        """Those of a column `vector` that aren't null, and the places of these."""
        held = column.is_valid().to_numpy(zero_copy_only=False)
        # Unlike `values`, without rows that are null.
        numbers = column.flatten().to_numpy(zero_copy_only=False)
        return Vectors(places[held], numbers.reshape(-1, self.made.dim))

    def check(self, name: str, identity: str, dim: int) -> None:
        """OptionError where another model than this one made the table."""
        if (identity, dim) == (self.made.identity, self.made.dim):
            return
        other = f"another {name}" if name == self.made.model else f"{self.made.model}, not {name}"
        raise OptionError(
            f"{self.place} holds vectors of {other}, and vectors of two models can't be compared: "
            "leave -m out, or name the model that made it"
        )


def exact_name(record: Record) -> bytes:
    """Item.name of a row with the columns `path` and `path_bytes`."""
    exact = record["path_bytes"]
    return record["path"].encode() if exact is None else bytes(exact)
