"""A bucket that this machine plays, as IN and as OUT (needs the extra cluster and moto)."""

from __future__ import annotations

import io
import random
import tarfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from galago.errors import OptionError, StorageError
from galago.scale import addresses
from galago.scale.crew import LocalCrew
from galago.scale.embed import Summary, embed
from galago.scale.listing import Listing
from galago.scale.table import Table
from galago.scale.worker import Work, Worker
from tests.helpers.pictures import photo, saved
from tests.helpers.tables import FakeVectors, here

moto: Any = pytest.importorskip("moto.server", reason="needs moto")
boto3: Any = pytest.importorskip("boto3", reason="needs moto")
lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
dataset: Any = pytest.importorskip("pyarrow.dataset", reason="needs the extra cluster")

PICTURE = saved(photo(), "JPEG")
PICTURES = ("a/1.jpg", "a/é %20?.jpg", "b.jpg")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bytes], object]]:
    """Puts things into s3://photos, which has three pictures under in/."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    addresses.opened.cache_clear()
    # Every server of a process has one memory: what another test put there goes.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")

    def put(key: str, data: bytes) -> None:
        client.put_object(Bucket="photos", Key=key, Body=data)

    for name in PICTURES:
        put(f"in/{name}", PICTURE)
    put("in/notes.txt", b"no picture")
    put.server = server._server  # type: ignore[attr-defined]
    yield put
    addresses.opened.cache_clear()
    server.stop()


def run(place: str, table: Table) -> Summary:
    def crew() -> LocalCrew:
        return LocalCrew(lambda: Worker(Work("fake"), FakeVectors(), here()))

    return embed(Listing(place, out=table.place), table, crew)


def test_from_a_bucket_into_it_and_again(bucket: Callable[[str, bytes], object]) -> None:
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
    bucket("in/c.jpg", b"no picture")
    more = run("s3://photos/in", ParquetTable("s3://photos/o.parquet"))
    assert (more.new, more.failed, more.known) == (1, 1, 3)
    paths = lance.dataset("s3://photos/in/out.lance").to_table(columns=["path"])["path"]
    assert sorted(paths.to_pylist()) == sorted(f"s3://photos/in/{name}" for name in PICTURES)
    root, path = addresses.files_of("s3://photos/o.parquet")
    rows = dataset.dataset(path, filesystem=addresses.opened(root)).to_table()
    assert rows.num_rows == 4 and rows["sha256"].null_count == 0
    assert rows["modified"].null_count == 0


def test_tars_of_a_bucket_are_read_where_they_are(bucket: Callable[[str, bytes], object]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("x/1.jpg")
        info.size = len(PICTURE)
        tar.addfile(info, io.BytesIO(PICTURE))
    bucket("tars/0.tar", stream.getvalue())
    (item,) = Listing("s3://photos/tars")
    assert item.name == b"s3://photos/tars/0.tar#x/1.jpg" and item.place.read() == PICTURE


def test_a_list_in_a_bucket(bucket: Callable[[str, bytes], object]) -> None:
    bucket("in/list.txt", b"b.jpg\ns3://photos/in/a/1.jpg\n")
    first, second = Listing("s3://photos/in/list.txt")
    assert first.name == b"s3://photos/in/b.jpg" and second.name == b"s3://photos/in/a/1.jpg"
    assert first.place.read() == second.place.read() == PICTURE


def test_what_isnt_there_is_told_at_once(
    bucket: Callable[[str, bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses.time, "sleep", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(OptionError, match="s3://photos/nothing"):
        list(Listing("s3://photos/nothing"))
    with pytest.raises(OptionError, match="nobody/in can't be listed"):
        list(Listing("s3://nobody/in"))


class Throttling:
    """A bucket that refuses a share of what it is asked, as S3 does."""

    def __init__(self, app: Any, share: float) -> None:
        self.app, self.share, self.refused = app, share, 0
        self.chance, self.lock = random.Random(4), threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        with self.lock:
            refuse = self.chance.random() < self.share
            self.refused += refuse
        if not refuse:
            return self.app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("503 Slow Down", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"]


@pytest.mark.parametrize("name", ["out.lance", "out.parquet"])
def test_a_bucket_that_throttles_loses_nothing(
    name: str, bucket: Callable[[str, bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.scale.lance_table import LanceTable
    from galago.scale.parquet_table import ParquetTable

    monkeypatch.setattr(addresses, "_FIRST_WAIT", 0.01)
    for number in range(20):
        bucket(f"in/more/{number}.jpg", PICTURE)
    server = bucket.server  # type: ignore[attr-defined]
    server.app = throttling = Throttling(server.app, 0.3)
    kind = LanceTable if name.endswith("lance") else ParquetTable
    first = run("s3://photos/in", kind(f"s3://photos/{name}"))
    assert (first.new, first.failed, first.unread) == (23, 0, 0)
    assert throttling.refused > 5
    again = run("s3://photos/in", kind(f"s3://photos/{name}"))
    assert (again.new, again.known) == (0, 23)


def test_what_isnt_allowed_is_a_line(bucket: Callable[[str, bytes], object]) -> None:
    from galago.scale.lance_table import LanceTable
    from galago.scale.parquet_table import ParquetTable

    server = bucket.server  # type: ignore[attr-defined]
    app = server.app

    def read_only(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]

    server.app = read_only
    for kind, out in ((LanceTable, "s3://photos/o.lance"), (ParquetTable, "s3://photos/o.parquet")):
        with pytest.raises(StorageError, match=f"{out} can't be written"):
            run("s3://photos/in", kind(out))
