"""A Lance table to search: by all of its vectors, or by its index."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError, StorageError
from galago.scale.lance_table import LanceTable, short
from galago.scale.reader import Index, Reader, Record, Vectors

__all__ = ["INDEX", "PART", "LanceReader"]

INDEX = "vector_idx"  # what Lance calls the index of this column
_ROWS = 8192  # a batch
_AHEAD = 4  # batches
_BUFFER = 128 << 20  # bytes that Lance reads ahead; 2 GB by itself
# Of the index: how many of its parts are looked into, and how many times as many rows as are wanted
# have their vectors compared exactly. What that finds `galago lance-index` measures on each table.
# All parts, up to 16.8 million rows: of 3,000,000 they cost a fifth of the exact search and find
# all that it does, where half of them lost one of sixteen of what phrases look for.
_PROBED = 4096
_REFINED = 2
PART = 4096  # rows of a part
_OF_FILTER = re.compile("Schema|[Pp]ars|filter|literal|expression|[Pp]lan|[Tt]ype|cast|coerc")


class LanceReader(Reader):
    """One version of a table that `galago embed` made."""

    def __init__(self, place: str) -> None:
        """OptionError where there is none, or another program's; MissingExtraError."""
        table = LanceTable(place)
        found = table.dataset() if table.made is not None else None
        if found is None or table.made is None:
            raise OptionError(
                f"there is no table at {table.place} yet: galago embed IN {table.place} makes it"
            )
        self.place, self.made = table.place, table.made
        files = (one.path for part in found.get_fragments() for one in part.data_files())
        # Another table at this place may have as many writes and rows; its files have other names.
        digest = sha256("\n".join(files).encode()).hexdigest()[:16]
        self.version = f"{found.version} {found.count_rows()} {digest}"
        self._found = found

    def count(self, where: str = "") -> int:
        with self._told(where):
            return int(self._found.count_rows(filter=where or None))

    def failed(self, where: str = "") -> int:
        with self._told(where):
            bad = "error IS NOT NULL"
            return int(self._found.count_rows(filter=f"({where}) AND {bad}" if where else bad))

    def batches(
        self, columns: Sequence[str], where: str = ""
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        with self._told(where):
            scanner = self._found.scanner(
                columns=list(columns), filter=where or None, with_row_id=True, batch_size=_ROWS,
                batch_readahead=_AHEAD, fragment_readahead=1, io_buffer_size=_BUFFER,
                scan_in_order=True,
            )  # fmt: skip
            for batch in scanner.to_batches():
                yield _places(batch), batch

    def take(self, places: NDArray[np.int64], columns: Sequence[str]) -> list[Record]:
        if not len(places):
            return []
        with self._told():
            found = self._found._take_rows(places.tolist(), list(columns))
            return list(found.to_pylist())

    def index(self) -> Index | None:
        for found in self._found.describe_indices():
            if found.name == INDEX:
                rows = int(found.num_rows_indexed)
                return Index(str(found.index_type), rows, max(0, self.count() - rows))
        return None

    def indexed(self, query: NDArray[np.float32], k: int, where: str = "") -> Vectors:
        with self._told(where):
            parts = self._parts()
            asked = {
                "column": "vector", "q": query, "k": k, "refine_factor": _REFINED,
                # At least: with a filter few of a part's rows count, and others are looked into.
                "minimum_nprobes": min(parts, _PROBED),
            }  # fmt: skip
            found = self._found.scanner(
                columns=["vector", "_distance"], filter=where or None, prefilter=True,
                nearest=asked, with_row_id=True,
            ).to_table()  # fmt: skip
            return self.held(_places(found), found.column("vector").combine_chunks())

    def _parts(self) -> int:
        """How many parts the index has."""
        index = self.index()
        return 1 if index is None else max(1, index.rows // PART)

    @contextlib.contextmanager
    def _told(self, where: str = "") -> Iterator[None]:
        """What Lance refuses, as one line; with a filter it may be the filter's fault."""
        try:
            yield
        except (ValueError, OSError, RuntimeError) as error:
            told = short(error)
            if where and _OF_FILTER.search(told):
                raise OptionError(
                    f"--where {where!r} is no condition of this table ({told}); as in SQL: "
                    "--where \"width > 1000 AND path LIKE '%/2025/%'\""
                ) from None
            raise StorageError(f"{self.place} can't be read: {told}") from None


def _places(batch: Any) -> NDArray[np.int64]:
    return np.asarray(batch.column("_rowid").to_numpy(), np.int64)
