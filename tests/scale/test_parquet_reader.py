"""A folder of Parquet files as it is searched (needs pyarrow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import OptionError
from galago.scale.parquet_reader import ParquetReader
from galago.scale.parquet_table import ParquetTable
from galago.scale.reader import exact_name
from galago.scale.rows import Batch, Made, Row
from tests.helpers.albums import unit

parquet: Any = pytest.importorskip("pyarrow.parquet", reason="needs the extra cluster")
VECTORS = unit(30, 16)


@pytest.fixture(params=["float16", "float32"])
def out(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Thirty rows in two files; every tenth has an error."""
    place = str(tmp_path / "out.parquet")
    table = ParquetTable(place)
    table.begin(Made("fake", "fake-1", 16, request.param))
    for first in (0, 15):
        rows = [
            Row(b"/%d.jpg" % n, vector=VECTORS[n]) if n % 10 else Row(b"/\xe9.jpg", error="none")
            for n in range(first, first + 15)
        ]
        table.add(Batch(rows, [], "fp32"))
        table.flush()
    return place


def test_what_is_there(out: str) -> None:
    reader = ParquetReader(out)
    assert (reader.count(), reader.failed(), reader.index()) == (30, 3, None)
    some = list(reader.vectors())
    good = [n for n in range(30) if n % 10]
    stored = np.concatenate([one.stored for one in some])
    assert np.array_equal(stored, VECTORS[good].astype(reader.made.vectors))
    assert np.concatenate([one.places for one in some]).tolist() == good


def test_rows_by_their_places(out: str) -> None:
    found = ParquetReader(out).take(np.array([29, 0, 14, 29]), ["path", "path_bytes"])
    assert [exact_name(row) for row in found] == [
        b"/29.jpg", b"/\xe9.jpg", b"/14.jpg", b"/29.jpg"
    ]  # fmt: skip
    assert ParquetReader(out).take(np.array([], np.int64), ["path"]) == []


def test_what_a_folder_cant(out: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--where needs a Lance table"):
        ParquetReader(out).count("width > 3")
    with pytest.raises(OptionError, match="there is no table at"):
        ParquetReader(str(tmp_path / "none.parquet"))
    version = ParquetReader(out).version
    next(iter(sorted(Path(out).iterdir()))).unlink()
    assert ParquetReader(out).version != version
