"""`galago lance-index`: what a person types and sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.scale import lance_index
from galago.scale.reader import Index, Vectors
from tests.helpers.albums import Models, unit
from tests.helpers.commandline import documented, run

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("out", "line"),
    [
        ("pictures", "is no table of galago embed"),
        ("s3://b/a.lance", "--offline contacts nobody"),
    ],
)
def test_what_has_no_index(capsys: Capture, models: Models, out: str, line: str) -> None:
    ran = run(capsys, "lance-index", out, "--offline")
    assert ran.code == 2 and line in ran.line


class Table:
    """As a LanceReader; its index, and how often one was built, outlive it."""

    index_of: Index | None = None
    built = 0
    stopped = False

    def __init__(self, place: str) -> None:
        from galago.scale.rows import Made

        self.place, self.version = place, "1"
        self.made = Made("fake-small", "fake-1", 24)

    def count(self, where: str = "") -> int:
        return 5000

    def index(self) -> Index | None:
        return Table.index_of

    def check(self, *_: Any) -> None: ...

    def vectors(self, where: str = "") -> Any:
        yield Vectors(np.arange(9, dtype=np.int64), unit(9, 24))


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, models: Models, tmp_path: Path) -> type[Table]:
    from galago.cli import search_table
    from galago.scale import lance_reader, lance_table

    def build(table: object, report: Any) -> None:
        if Table.stopped:
            raise KeyboardInterrupt
        Table.built += 1
        Table.index_of = Index("IVF_PQ", 5000, 0)

    def measured(reader: object, queries: Vectors, k: int, report: Any) -> lance_index.Recall:
        return lance_index.Recall(len(queries.places), 0.987, 0.9, 0.004, 0.05)

    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Table, "index_of", None)
    monkeypatch.setattr(Table, "built", 0)
    monkeypatch.setattr(Table, "stopped", False)
    monkeypatch.setattr(search_table, "opened", lambda place, offline: Table(place))
    monkeypatch.setattr(lance_reader, "LanceReader", Table)
    monkeypatch.setattr(lance_table, "LanceTable", Table)
    monkeypatch.setattr(lance_index, "build", build)
    monkeypatch.setattr(lance_index, "recall", measured)
    monkeypatch.setattr(
        lance_index, "sample", lambda reader, count: Vectors(np.arange(7), unit(7, 24))
    )
    return Table


def test_a_small_table_is_refused_and_anyway_it_isnt(capsys: Capture, faked: type[Table]) -> None:
    ran = run(capsys, "lance-index", "out.lance")
    assert ran.code == 2 and "has 5,000 rows" in ran.line and "--anyway builds it" in ran.line
    ran = run(capsys, "lance-index", "out.lance", "--anyway")
    assert ran.code == 0 and faked.built == 1
    lines = ran.out.splitlines()
    assert lines[0] == "out.lance: IVF_PQ of 5,000 rows"
    assert lines[1].startswith("recall@10 by 7 pictures: 0.987, 0.9 at worst; 0.004 s")
    assert lines[2].startswith("recall@10 by 100 words: ")


def test_again_it_is_only_measured_until_rows_are_added(
    capsys: Capture, faked: type[Table]
) -> None:
    faked.index_of = Index("IVF_PQ", 5000, 0)
    record = json.loads(run(capsys, "lance-index", "out.lance", "--anyway", "--json").out)
    assert faked.built == 0 and record["built"] is False and record["rows"] == 5000
    assert record["recall"]["pictures"]["mean"] == 0.987
    assert set(record) == documented("lance-index")
    faked.index_of = Index("IVF_PQ", 4000, 1000)
    record = json.loads(run(capsys, "lance-index", "out.lance", "--anyway", "--json").out)
    assert faked.built == 1 and record["built"] is True


def test_a_stop_is_told(capsys: Capture, faked: type[Table]) -> None:
    faked.stopped = True
    ran = run(capsys, "lance-index", "out.lance", "--anyway")
    assert ran.code == 130 and "has the index that it had" in ran.err
