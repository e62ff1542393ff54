"""OUT as a folder of Parquet files, as Spark, Ray, pandas and DuckDB read them; or in a bucket."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from galago.disk import whole_file
from galago.scale.addresses import files_of, is_address, opened, patiently
from galago.scale.arrow import KEY, table_of
from galago.scale.rows import Batch, Made
from galago.scale.table import Table, short

__all__ = ["ParquetTable"]


class ParquetTable(Table):
    """Every write is a file more, whole or not at all."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._root, self._path = files_of(place) if is_address(place) else ("", self.place)
        self._files = opened(self._root)
        self._parts = list(self._found())
        for part in self._parts[:1]:
            kept = (self._schema(part).metadata or {}).get(KEY)
            if kept is None:
                raise self.refuse("was not made by galago embed: give another OUT")
            self.made = Made.of_json(kept, self.place)

    def names(self) -> Iterator[bytes]:
        self._parts = list(self._found())  # another run may have ended since
        for batch in self.batches(["path", "path_bytes"]):
            for path, exact in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield path.encode() if exact is None else exact

    @property
    def parts(self) -> list[str]:
        """Its files, in order."""
        return list(self._parts)

    def batches(self, columns: Sequence[str], rows: int = 65536) -> Iterator[Any]:
        """All rows in order as pyarrow.RecordBatches of these columns, in this order."""
        from pyarrow import lib, parquet

        for part in self._parts:
            try:
                with self._files.open_input_file(part) as file:
                    for batch in parquet.ParquetFile(file).iter_batches(rows, columns=columns):
                        yield batch.select(columns)
            except (OSError, lib.ArrowException) as error:
                raise self._damaged(part, error) from None

    def rows_in(self, part: str) -> int:
        """How many rows one of its files has."""
        from pyarrow import lib, parquet

        try:
            with self._files.open_input_file(part) as file:
                return int(parquet.ParquetFile(file).metadata.num_rows)
        except (OSError, lib.ArrowException) as error:
            raise self._damaged(part, error) from None

    def _write(self, batches: list[Batch]) -> None:
        from pyarrow import parquet

        assert self.made is not None
        stream = io.BytesIO()
        parquet.write_table(table_of(batches, self.made), stream, compression="zstd")
        part = f"{self._path}/part-{len(self._parts):06}-{os.urandom(4).hex()}.parquet"
        if self._root:
            patiently(lambda: self._put(part, stream))
        else:
            os.makedirs(self._path, exist_ok=True)
            with whole_file(Path(part)) as file:
                file.write(stream.getbuffer())
        self._parts.append(part)

    def _put(self, part: str, stream: io.BytesIO) -> None:
        """Seen by nobody before it is whole, as buckets have it; again under the same name."""
        with self._files.open_output_stream(part) as out:
            out.write(stream.getbuffer())

    def _found(self) -> Iterator[str]:
        """The files of the table."""
        from pyarrow import fs

        try:
            about = patiently(lambda: self._files.get_file_info(self._path))
            if about.type == fs.FileType.NotFound:
                return
            if about.type == fs.FileType.File:
                raise self.refuse(
                    "is a file, and OUT.parquet is a folder of them: give another OUT"
                )
            inside = self._files.get_file_info(fs.FileSelector(self._path))
        except OSError as error:
            raise self.refuse(f"can't be looked into: {short(error)}") from None
        for info in sorted(inside, key=lambda one: one.path):
            if info.base_name.startswith("."):  # what a killed run left
                continue
            if not info.base_name.endswith(".parquet"):
                raise self.refuse(
                    f"is a folder of something else ({info.base_name}): give another OUT"
                )
            yield info.path

    def _schema(self, part: str) -> Any:
        from pyarrow import lib, parquet

        try:
            with self._files.open_input_file(part) as file:
                return parquet.ParquetFile(file).schema_arrow
        except (OSError, lib.ArrowException) as error:
            raise self._damaged(part, error) from None

    def _damaged(self, part: str, error: Exception) -> Exception:
        name = part.rsplit("/", 1)[-1]
        return self.refuse(
            f"has a damaged file, {name} ({short(error)}): remove it, and its pictures are done "
            "again"
        )
