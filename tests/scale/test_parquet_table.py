"""OUT.parquet: written, opened again, refused (needs pyarrow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from galago.errors import OptionError
from galago.scale.embed import embed
from galago.scale.listing import Listing
from galago.scale.parquet_table import ParquetTable
from galago.scale.rows import COLUMNS
from tests.helpers.tables import MADE, FakeCrew, raws

parquet: Any = pytest.importorskip("pyarrow.parquet", reason="needs the extra cluster")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "out.parquet"


def test_every_run_adds_files_that_are_one_table(out: Path) -> None:
    embed(raws(b"", b""), ParquetTable(str(out)), FakeCrew)
    assert embed(raws(b"", b"", b""), ParquetTable(str(out)), FakeCrew).new == 1
    found = parquet.read_table(out)
    assert found.column_names == list(COLUMNS) and found["path"].to_pylist() == ["0", "1", "2"]
    assert len(list(out.iterdir())) == 2
    assert ParquetTable(str(out)).made == MADE


def test_what_a_killed_run_left_does_not_count(out: Path) -> None:
    embed(raws(b""), ParquetTable(str(out)), FakeCrew)
    (out / ".part-000001-ab.parquet.cd.part").write_bytes(b"half")
    assert embed(raws(b"", b""), ParquetTable(str(out)), FakeCrew).new == 1
    assert parquet.read_table(out).num_rows == 2


def test_a_damaged_file_is_named(out: Path) -> None:
    embed(raws(b""), ParquetTable(str(out)), FakeCrew)
    embed(raws(b"", b""), ParquetTable(str(out)), FakeCrew)
    last = sorted(out.iterdir())[1]
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.raises(OptionError, match=f"has a damaged file, {last.name} .*: remove it"):
        embed(raws(b"", b""), ParquetTable(str(out)), FakeCrew)
    last.unlink()
    assert embed(raws(b"", b""), ParquetTable(str(out)), FakeCrew).new == 1


def test_what_is_of_others_is_left_alone(tmp_path: Path) -> None:
    import pyarrow as pa

    parquet.write_table(pa.table({"a": [1]}), tmp_path / "file.parquet")
    with pytest.raises(OptionError, match="is a file, and OUT.parquet is a folder of them"):
        ParquetTable(str(tmp_path / "file.parquet"))
    (tmp_path / "other.parquet").mkdir()
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet" / "0.parquet")
    with pytest.raises(OptionError, match="was not made by galago embed"):
        ParquetTable(str(tmp_path / "other.parquet"))
    (tmp_path / "other.parquet" / "notes.txt").write_text("x")
    with pytest.raises(OptionError, match=r"is a folder of something else \(notes.txt\)"):
        ParquetTable(str(tmp_path / "other.parquet"))


def listed(tmp_path: Path, column: str = "", **columns: list[Any]) -> Listing:
    import pyarrow as pa

    parquet.write_table(pa.table(columns), tmp_path / "in.parquet", row_group_size=2)
    return Listing(str(tmp_path / "in.parquet"), column)


def test_rows_of_a_table_as_pictures(tmp_path: Path) -> None:
    pictures = [{"bytes": b"one", "path": "1.jpg"}, {"bytes": b"two", "path": None}, None]
    items = list(listed(tmp_path, label=[1, 2, 3], image=pictures))
    assert [item.name for item in items] == [
        f"{tmp_path}/in.parquet#{row}".encode() for row in range(3)
    ]
    assert items[0].place.read() == b"one" and items[1].place.read() == b"two"
    with pytest.raises(Exception, match="its row has no picture"):
        items[2].place.read()


def test_rows_that_name_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    urls = ["a.jpg", "https://x.org/b.jpg", None]
    first, second, third = listed(tmp_path, url=urls)
    assert first.name == f"{tmp_path}/a.jpg".encode() and first.place.read() == b"a"
    assert second.name == b"https://x.org/b.jpg"
    with pytest.raises(Exception, match="its row has no picture"):
        third.place.read()


def test_offline_a_table_of_addresses_is_refused_and_in_a_folder_told(tmp_path: Path) -> None:
    list(listed(tmp_path, url=["https://x.org/b.jpg"]))
    (path,) = tmp_path.glob("*.parquet")
    with pytest.raises(OptionError, match="--offline contacts nobody"):
        list(Listing(str(path), offline=True))
    folder = Listing(str(tmp_path), offline=True)
    assert list(folder) == [] and "--offline contacts nobody" in folder.unreadable[str(path)]


def test_columns_that_arent_there_or_arent_pictures(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no column of pictures .*--column NAME.*it has a, b"):
        list(listed(tmp_path, a=[1], b=["x"]))
    assert len(list(listed(tmp_path, "b", a=[1], b=["x"]))) == 1
    with pytest.raises(OptionError, match="has no column c; it has a, b"):
        list(listed(tmp_path, "c", a=[1], b=["x"]))
    with pytest.raises(OptionError, match="holds neither pictures"):
        list(listed(tmp_path, "a", a=[1], b=["x"]))
    (tmp_path / "in.parquet").write_bytes(b"no table")
    with pytest.raises(OptionError, match="can't be read as Parquet"):
        list(Listing(str(tmp_path / "in.parquet")))
