"""OUT.lance: written, opened again, refused (needs pylance)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import OptionError, StorageError
from galago.scale.embed import embed
from galago.scale.lance_table import LanceTable
from galago.scale.rows import COLUMNS, Batch, Made, Row
from tests.helpers.tables import MADE, FakeCrew, raws

lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")


def full_row() -> Row:
    vector = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    return Row(b"/n\xe9.jpg", 10, 1_700_000_000_123_456, "ab", 4, 3, vector, "A cup.", 0.5, "EXIT")


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "deeper" / "out.lance")


def test_rows_come_back_as_they_were(out: str) -> None:
    table = LanceTable(out)
    with table.writing():
        table.begin(MADE)
        table.add(Batch([full_row(), Row(b"/b.jpg", error="no picture")], [], "fp32"))
        table.flush()
    found = lance.dataset(out).to_table()
    assert found.column_names == list(COLUMNS)
    first, second = found.to_pylist()
    assert (first["path"], first["path_bytes"]) == ("/n\\xe9.jpg", b"/n\xe9.jpg")
    assert first["modified"].isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert first["vector"] == [0.5] * 4 and first["caption"] == "A cup."
    assert (first["model"], first["identity"], first["precision"]) == ("fake", "fake-1", "fp32")
    assert first["captioner"] is None and first["error"] is None
    assert second["vector"] is None and second["width"] is None
    assert second["error"] == "no picture"
    again = LanceTable(out)
    assert again.made == MADE and list(again.names()) == [b"/n\xe9.jpg", b"/b.jpg"]


def test_lance_has_more_threads_than_two(out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANCE_CPU_THREADS", raising=False)
    LanceTable(out)
    assert int(os.environ["LANCE_CPU_THREADS"]) >= 8
    monkeypatch.setenv("LANCE_CPU_THREADS", "3")  # as a person wants it
    LanceTable(out)
    assert os.environ["LANCE_CPU_THREADS"] == "3"


def test_half_the_size(out: str) -> None:
    table = LanceTable(out)
    table.begin(Made("fake", "fake-1", 4, "float16"))
    with table.writing():
        table.add(Batch([full_row()], [], "fp32"))
        table.flush()
    kind = lance.dataset(out).schema.field("vector").type
    assert str(kind.value_type) == "halffloat" and kind.list_size == 4


def test_many_writes_end_as_few_files(out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.scale.table._ROWS", 5)
    embed(raws(*[b""] * 20), LanceTable(out), FakeCrew, batch=5)
    found = lance.dataset(out)
    assert found.count_rows() == 20 and len(found.get_fragments()) == 1
    assert embed(raws(*[b""] * 23), LanceTable(out), FakeCrew).new == 3
    assert lance.dataset(out).count_rows() == 23


def test_many_writes_are_put_in_order_on_the_way(out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.scale.table._ROWS", 1)
    monkeypatch.setattr("galago.scale.lance_table._TIDY", 4)
    monkeypatch.setattr("galago.scale.lance_table._WHOLE", 8)
    counts: list[int] = []

    def report(_: object) -> None:
        counts.append(len(lance.dataset(out).get_fragments()))

    embed(raws(*[b""] * 20), LanceTable(out), FakeCrew, batch=1, report=report)
    # Four of one row become one of four, two of these one that is whole and stays as it is.
    assert counts[3] == 1 and max(counts) <= 6
    sizes = [piece.count_rows() for piece in lance.dataset(out).get_fragments()]
    assert sum(sizes) == 20 and sizes[0] == 8


def test_rows_that_were_written_and_never_counted_are_done_again(out: str) -> None:
    from lance.fragment import write_fragments

    assert embed(raws(b"", b""), LanceTable(out), FakeCrew).new == 2
    before = lance.dataset(out).to_table()
    # As by a kill between the data file and the version that names it.
    write_fragments(before, out, mode="append")
    assert len(list((Path(out) / "data").iterdir())) == 2
    summary = embed(raws(b"", b"", b""), LanceTable(out), FakeCrew)
    assert (summary.known, summary.new) == (2, 1)
    paths = lance.dataset(out).to_table()["path"].to_pylist()
    assert sorted(paths) == ["0", "1", "2"]


def test_what_a_killed_first_run_left_is_begun_anew(out: str) -> None:
    (Path(out) / "data").mkdir(parents=True)
    (Path(out) / "data" / "half.lance").write_bytes(b"half")
    assert embed(raws(b"", b""), LanceTable(out), FakeCrew).new == 2
    assert lance.dataset(out).count_rows() == 2


def test_a_table_of_others_is_left_alone(out: str) -> None:
    import pyarrow as pa

    lance.write_dataset(pa.table({"path": ["a"]}), out)
    with pytest.raises(OptionError, match="was not made by galago embed"):
        LanceTable(out)
    assert lance.dataset(out).count_rows() == 1


def test_a_damaged_table_is_told(out: str) -> None:
    embed(raws(b""), LanceTable(out), FakeCrew)
    for version in (Path(out) / "_versions").iterdir():
        version.write_bytes(b"no manifest")
    with pytest.raises(OptionError, match=r"is damaged \(.*\): put its files back from a copy, or"):
        LanceTable(out)


@pytest.mark.parametrize("half", [True, False])
def test_a_damaged_or_lost_file_of_a_table_is_told_before_any_work(out: str, half: bool) -> None:
    embed(raws(b"", b""), LanceTable(out), FakeCrew)
    (file,) = (Path(out) / "data").iterdir()
    if half:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    crew = FakeCrew()
    with pytest.raises(OptionError, match=r"is damaged \(.*\): put its files back from a copy, or"):
        embed(raws(b"", b"", b""), LanceTable(out), lambda: crew)
    assert crew.chunks == []


def test_files_and_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file.lance").write_bytes(b"x")
    with pytest.raises(OptionError, match="is a file, and a Lance table is a folder"):
        LanceTable(str(tmp_path / "file.lance"))
    (tmp_path / "photos.lance").mkdir()
    (tmp_path / "photos.lance" / "a.jpg").write_bytes(b"x")
    with pytest.raises(OptionError, match=r"is a folder of something else \(a.jpg\)"):
        LanceTable(str(tmp_path / "photos.lance"))


def test_what_cant_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "in_the_way").write_bytes(b"x")
    table = LanceTable(str(tmp_path / "in_the_way" / "out.lance"))
    with pytest.raises(StorageError, match="can't be written"):
        embed(raws(b""), table, FakeCrew)
