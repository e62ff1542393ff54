"""A Lance table as it is searched (needs pylance)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import OptionError
from galago.scale.exact import nearest
from galago.scale.lance_reader import LanceReader
from galago.scale.lance_table import LanceTable
from galago.scale.reader import exact_name
from galago.scale.rows import Batch, Made, Row
from tests.helpers.albums import unit

lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
VECTORS = unit(60, 16)


def rows(first: int, last: int) -> list[Row]:
    """Every tenth has an error."""
    return [
        Row(f"/{n}.jpg".encode(), n, width=n, vector=VECTORS[n])
        if n % 10
        else Row(b"/\xe9%d.jpg" % n, error="no picture")
        for n in range(first, last)
    ]


def written(out: str, vectors: str = "float16") -> str:
    table = LanceTable(out)
    with table.writing():
        table.begin(Made("fake", "fake-1", 16, vectors))
        for first in (0, 25, 50):
            table.add(Batch(rows(first, min(first + 25, 60)), [], "fp32"))
            table.flush()
    return out


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(str(tmp_path_factory.mktemp("tables") / "out.lance"))


def test_what_is_there(out: str) -> None:
    reader = LanceReader(out)
    assert reader.made == Made("fake", "fake-1", 16, "float16")
    assert (reader.count(), reader.failed()) == (60, 6)
    assert (reader.count("width > 55"), reader.failed("width > 55")) == (4, 0)
    assert reader.count("error IS NOT NULL OR width = 1") == 7
    assert reader.failed("error IS NOT NULL OR width = 1") == 6
    assert reader.index() is None


@pytest.mark.parametrize("vectors", ["float16", "float32"])
def test_vectors_come_as_they_are_kept(tmp_path: Path, vectors: str) -> None:
    reader = LanceReader(written(str(tmp_path / "out.lance"), vectors))
    some = list(reader.vectors())
    stored = np.concatenate([one.stored for one in some])
    good = [n for n in range(60) if n % 10]
    assert stored.dtype == vectors and np.array_equal(stored, VECTORS[good].astype(vectors))
    places = np.concatenate([one.places for one in some])
    names = [exact_name(row) for row in reader.take(places, ["path", "path_bytes"])]
    assert names == [b"/%d.jpg" % n for n in good]


def test_rows_by_their_places(out: str) -> None:
    reader = LanceReader(out)
    places = np.concatenate([there for there, _ in reader.batches(["path"])])
    assert len(places) == 60
    found = reader.take(places[[59, 0, 30]], ["path", "path_bytes", "width"])
    assert [exact_name(row) for row in found] == [b"/59.jpg", b"/\xe90.jpg", b"/\xe930.jpg"]
    assert [row["width"] for row in found] == [59, None, None]
    assert reader.take(places[:0], ["path"]) == []
    whole = [row for some in reader.rows(["width"]) for row in some]
    assert [row["vector"] is None for row in whole] == [n % 10 == 0 for n in range(60)]


def test_a_filter_comes_before_the_nearest(out: str) -> None:
    reader = LanceReader(out)
    query = VECTORS[3]
    near = nearest(reader.vectors("width >= 20"), [query], 5)[0]
    good = np.array([n for n in range(20, 60) if n % 10])
    products = VECTORS[good].astype(np.float16).astype(np.float32) @ query
    wanted = good[np.argsort(-products)[:5]]
    widths = [row["width"] for row in reader.take(near.places, ["width"])]
    assert widths == wanted.tolist()


@pytest.mark.parametrize("where", ["widht > 3", "width >", "width", "width > 'a'", "1; DROP"])
def test_what_is_no_filter_is_told(out: str, where: str) -> None:
    reader = LanceReader(out)
    with pytest.raises(OptionError, match="is no condition of this table") as told:
        reader.count(where)
    assert "\n" not in str(told.value) and ".rs" not in str(told.value)


def test_what_is_written_later_isnt_seen(tmp_path: Path) -> None:
    reader = LanceReader(written(str(tmp_path / "out.lance")))
    table = LanceTable(reader.place)
    table.begin(reader.made)
    table.add(Batch([Row(b"/more.jpg", vector=VECTORS[0])], [], "fp32"))
    table.flush()
    assert reader.count() == 60 and LanceReader(reader.place).count() == 61
    assert reader.version != LanceReader(reader.place).version


def test_what_is_no_table(tmp_path: Path) -> None:
    for half in ("none.lance", "half.lance"):
        with pytest.raises(OptionError, match="there is no table at"):
            LanceReader(str(tmp_path / half))
        (tmp_path / "half.lance" / "data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "half.lance" / "data" / "part.lance").write_bytes(b"half")
    (tmp_path / "file.lance").write_bytes(b"x")
    with pytest.raises(OptionError, match="is a file"):
        LanceReader(str(tmp_path / "file.lance"))
