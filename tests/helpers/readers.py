"""Tables to search without pyarrow or Lance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError
from galago.scale.reader import Reader, Record, Vectors
from galago.scale.rows import Made
from tests.helpers.albums import FakeEmbedder
from tests.helpers.tables import KeptTable

__all__ = ["FakeReader", "as_records", "made_by", "read_rows", "table_row"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def made_by(model: FakeEmbedder, vectors: str = "float16") -> Made:
    return Made(model.name, model.identity, model.dim, vectors)


def table_row(file: Path | str, model: FakeEmbedder | None = None, /, **more: Any) -> Record:
    """A picture's row as `galago embed` would make it; of what is no file, without a vector."""
    row: Record = dict.fromkeys(
        ("path_bytes", "size", "modified", "sha256", "vector", "caption", "text", "captioner",
         "error")
    )  # fmt: skip
    row["path"] = str(file)
    if model is not None:
        data = Path(file).read_bytes()
        row["size"], row["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        row["vector"] = model.embed_pixels(model.prepare(Path(file))[None])[0]
    return {**row, **more}


def read_rows(*names: str) -> list[Record]:
    """Rows that have an error."""
    return [table_row(name, error="no picture") for name in names]


def as_records(table: KeptTable) -> list[Record]:
    """What a reader would give of rows that were written."""
    found = []
    for row in table._kept["rows"]:
        path, exact = row.path()
        when = None if row.modified is None else _EPOCH + timedelta(microseconds=row.modified)
        found.append({**vars(row), "path": path, "path_bytes": exact, "modified": when,
                      "captioner": None})  # fmt: skip
    return found


class FakeReader(Reader):
    """Rows in memory, `at_once` at a time; a row's place is ten times its number.

    `index_of` is the index that it says it has, which finds everything.  `gone_over` counts how
    often all vectors were asked for.
    """

    def __init__(
        self, rows: Sequence[Record], made: Made, at_once: int = 3, version: str = "1",
        index_of: Any = None,
    ) -> None:  # fmt: skip
        self.place, self.made, self.version = "/tables/fake.lance", made, version
        self._rows, self._at_once, self._index = list(rows), at_once, index_of
        self.gone_over = self.by_index = 0

    def count(self, where: str = "") -> int:
        return len(self._passing(where))

    def failed(self, where: str = "") -> int:
        return sum(row["error"] is not None for _, row in self._passing(where))

    def batches(self, columns: Sequence[str], where: str = "") -> Iterator[Any]:
        raise NotImplementedError("there is no pyarrow")

    def rows(self, columns: Sequence[str]) -> Iterator[list[Record]]:
        for start in range(0, len(self._rows), self._at_once):
            some = self._rows[start : start + self._at_once]
            yield [{name: row[name] for name in (*columns, "vector")} for row in some]

    def take(self, places: NDArray[np.int64], columns: Sequence[str]) -> list[Record]:
        return [
            {name: self._rows[place // 10][name] for name in columns} for place in places.tolist()
        ]

    def vectors(self, where: str = "") -> Iterator[Vectors]:
        self.gone_over += 1
        passing = self._passing(where)
        for start in range(0, len(passing), self._at_once):
            some = [
                (number, row["vector"])
                for number, row in passing[start : start + self._at_once]
                if row["vector"] is not None
            ]
            places = np.array([10 * number for number, _ in some], np.int64)
            stored = np.array([vector for _, vector in some], self.made.vectors)
            yield Vectors(places, stored.reshape(-1, self.made.dim))

    def index(self) -> Any:
        return self._index

    def indexed(self, query: NDArray[np.float32], k: int, where: str = "") -> Vectors:
        self.by_index += 1
        every = list(FakeReader(self._rows, self.made, len(self._rows)).vectors(where))
        return every[0]

    def _passing(self, where: str) -> list[tuple[int, Record]]:
        """`where` is a part of the path."""
        if where == "no sql":
            raise OptionError("--where 'no sql' is no condition of this table")
        return [(n, row) for n, row in enumerate(self._rows) if where in row["path"]]
