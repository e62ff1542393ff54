"""A bucket that this machine plays, as IN and as OUT (needs the extra cluster and moto)."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from galago.errors import OptionError, StorageError
from galago.scale import addresses
from galago.scale.crew import LocalCrew
from galago.scale.embed import Summary, embed
from galago.scale.listing import Listing
from galago.scale.table import Table
from galago.scale.worker import Work, Worker
from tests.helpers.buckets import Played, played
from tests.helpers.pictures import photo, saved
from tests.helpers.tables import FakeVectors, here

lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
dataset: Any = pytest.importorskip("pyarrow.dataset", reason="needs the extra cluster")

PICTURE = saved(photo(), "JPEG")
PICTURES = ("a/1.jpg", "a/é %20?.jpg", "b.jpg")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    """s3://photos, which has three pictures under in/."""
    with played(monkeypatch) as found:
        monkeypatch.delenv("AWS_MAX_ATTEMPTS")  # Arrow's own tries come before ours
        for name in PICTURES:
            found.put(f"in/{name}", PICTURE)
        found.put("in/notes.txt", b"no picture")
        yield found


def run(place: str, table: Table) -> Summary:
    def crew() -> LocalCrew:
        return LocalCrew(lambda: Worker(Work("fake"), FakeVectors(), here()))

    return embed(Listing(place, out=table.place), table, crew)


def test_from_a_bucket_into_it_and_again(bucket: Played) -> None:
    from galago.scale.lance_table import LanceTable
    from galago.scale.parquet_table import ParquetTable

    for kind, out in (
        (LanceTable, "s3://photos/in/out.lance"),
        (ParquetTable, "s3://photos/o.parquet"),
    ):
        first = run("s3://photos/in", kind(out))
        assert (first.new, first.failed, first.unread) == (3, 0, 0)
        again = run("s3://photos/in", kind(out))
        assert (again.new, again.known) == (0, 3)
    bucket.put("in/c.jpg", b"no picture")
    more = run("s3://photos/in", ParquetTable("s3://photos/o.parquet"))
    assert (more.new, more.failed, more.known) == (1, 1, 3)
    paths = lance.dataset("s3://photos/in/out.lance").to_table(columns=["path"])["path"]
    assert sorted(paths.to_pylist()) == sorted(f"s3://photos/in/{name}" for name in PICTURES)
    root, path = addresses.files_of("s3://photos/o.parquet")
    rows = dataset.dataset(path, filesystem=addresses.opened(root)).to_table()
    assert rows.num_rows == 4 and rows["sha256"].null_count == 0
    assert rows["modified"].null_count == 0


def test_tars_of_a_bucket_are_read_where_they_are(bucket: Played) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("x/1.jpg")
        info.size = len(PICTURE)
        tar.addfile(info, io.BytesIO(PICTURE))
    bucket.put("tars/0.tar", stream.getvalue())
    (item,) = Listing("s3://photos/tars")
    assert item.name == b"s3://photos/tars/0.tar#x/1.jpg" and item.place.read() == PICTURE


def test_a_list_in_a_bucket(bucket: Played) -> None:
    bucket.put("in/list.txt", b"b.jpg\ns3://photos/in/a/1.jpg\n")
    first, second = Listing("s3://photos/in/list.txt")
    assert first.name == b"s3://photos/in/b.jpg" and second.name == b"s3://photos/in/a/1.jpg"
    assert first.place.read() == second.place.read() == PICTURE


def test_what_isnt_there_is_told_at_once(bucket: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.time, "sleep", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(OptionError, match="s3://photos/nothing"):
        list(Listing("s3://photos/nothing"))
    with pytest.raises(OptionError, match="nobody/in can't be listed"):
        list(Listing("s3://nobody/in"))


@pytest.mark.parametrize("name", ["out.lance", "out.parquet"])
def test_a_bucket_that_throttles_loses_nothing(
    name: str, bucket: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.scale.lance_table import LanceTable
    from galago.scale.parquet_table import ParquetTable

    monkeypatch.setattr(addresses, "_FIRST_WAIT", 0.01)
    for number in range(20):
        bucket.put(f"in/more/{number}.jpg", PICTURE)
    chance = random.Random(4)
    bucket.refusing = lambda _: chance.random() < 0.3
    kind = LanceTable if name.endswith("lance") else ParquetTable
    first = run("s3://photos/in", kind(f"s3://photos/{name}"))
    assert (first.new, first.failed, first.unread) == (23, 0, 0)
    assert len(bucket.refused) > 5
    again = run("s3://photos/in", kind(f"s3://photos/{name}"))
    assert (again.new, again.known) == (0, 23)


def test_what_isnt_allowed_is_a_line(bucket: Played) -> None:
    from galago.scale.lance_table import LanceTable
    from galago.scale.parquet_table import ParquetTable

    bucket.refusal = ("403 Forbidden", "AccessDenied", "Access Denied")
    bucket.refusing = lambda asked: asked.split()[0] not in ("GET", "HEAD")
    for kind, out in ((LanceTable, "s3://photos/o.lance"), (ParquetTable, "s3://photos/o.parquet")):
        with pytest.raises(StorageError, match=f"{out} can't be written"):
            run("s3://photos/in", kind(out))
