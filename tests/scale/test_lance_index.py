"""An index of a Lance table: built, measured, and what it doesn't have (needs pylance)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from galago.errors import OptionError, StorageError
from galago.scale import lance_index
from galago.scale.exact import nearest
from galago.scale.lance_index import build, recall, sample
from galago.scale.lance_reader import LanceReader
from galago.scale.lance_table import LanceTable
from galago.scale.rows import Batch, Made, Row
from tests.helpers.albums import unit

lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
VECTORS = unit(620, 16)


def add(out: str, first: int, last: int) -> None:
    table = LanceTable(out)
    with table.writing():
        table.begin(Made("fake", "fake-1", 16, "float16"))
        rows = [Row(b"/%d.jpg" % n, n, vector=VECTORS[n]) for n in range(first, last)]
        table.add(Batch([*rows, Row(b"/bad%d.jpg" % first, error="no picture")], [], "fp32"))
        table.flush()


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    """600 rows with an index, and one with an error."""
    place = str(tmp_path_factory.mktemp("tables") / "out.lance")
    add(place, 0, 600)
    heard: list[tuple[str, int, int | None]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lance_index, "LEAST", 512)
        build(LanceTable(place), lambda *stage: heard.append(stage))
    assert {"finding the parts", "coding"} <= {stage for stage, _, _ in heard}
    return place


def test_it_has_all_rows_and_its_recall_is_measured(out: str) -> None:
    reader = LanceReader(out)
    index = reader.index()
    assert index is not None and (index.kind, index.rows, index.missing) == ("IVF_PQ", 601, 0)
    queries = sample(reader, 20)
    assert len(queries.places) == 20 and queries.stored.shape == (20, 16)
    found = recall(reader, queries, 200)
    assert found.queries == 20 and found.mean > 0.9 and found.worst > 0.5
    # Fewer rows than ten can't hold ten: what is measured is no constant.
    assert recall(reader, queries, 5).mean <= 0.5


def test_what_comes_later_is_found_and_told(out: str) -> None:
    add(out, 600, 620)
    reader = LanceReader(out)
    index = reader.index()
    assert index is not None and index.missing == 21
    for number in (3, 610):
        query = VECTORS[number]
        near = nearest([reader.indexed(query, 50)], [query], 1)[0]
        assert reader.take(near.places, ["path"])[0]["path"] == f"/{number}.jpg"
    only = reader.indexed(VECTORS[3], 50, "size >= 600")
    assert len(only.places) == 20
    LanceTable(out).finish()  # few files of many
    later = LanceReader(out)
    assert later.index() is not None
    query = VECTORS[610]
    near = nearest([later.indexed(query, 50)], [query], 1)[0]
    assert later.take(near.places, ["path"])[0]["path"] == "/610.jpg"


def test_too_few_rows_and_another_writer(tmp_path: Path) -> None:
    place = str(tmp_path / "out.lance")
    with pytest.raises(OptionError, match="0 rows with a vector, and an index takes"):
        build(LanceTable(place))
    add(place, 0, 30)
    with pytest.raises(OptionError, match="30 rows with a vector"):
        build(LanceTable(place))
    other = LanceTable(place)
    with other.writing(), pytest.raises(StorageError, match="another galago is writing"):
        build(LanceTable(place))
    assert LanceReader(place).index() is None
