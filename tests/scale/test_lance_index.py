"""An index of a Lance table: built, measured, and what it doesn't have (needs pylance)."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import OptionError, StorageError
from galago.scale import lance_build, lance_index
from galago.scale.exact import nearest
from galago.scale.lance_index import build, recall, sample
from galago.scale.lance_reader import LanceReader
from galago.scale.lance_table import LanceTable
from galago.scale.reader import Reader
from galago.scale.rows import Batch, Made, Row
from tests.helpers.albums import unit
from tests.helpers.commandline import POSIX_ONLY
from tests.helpers.places import TOP

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


STOPPED = """
import os, signal, sys
from galago.cli.main import main
from galago.scale import lance_build, lance_index
real = lance_index.build
def build(table, report):
    real(table, lambda *stage: os.kill(os.getpid(), getattr(signal, sys.argv[2])))
lance_index.build = build
sys.exit(main(["lance-index", sys.argv[1], "--anyway"]))
"""


@POSIX_ONLY
@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
@pytest.mark.parametrize("before", [False, True], ids=["no index", "an older index"])
def test_stopped_while_it_is_built_the_table_is_as_it_was(
    tmp_path: Path, before: bool, how: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, wide = tmp_path / "out.lance", unit(600, 384)
    for times in (1, 40):  # many, so that it isn't built before it can be stopped
        table = LanceTable(str(place))
        with table.writing():
            table.begin(Made("fake", "fake-1", 384, "float16"))
            rows = [Row(b"/%d.jpg" % n, vector=vector) for n, vector in enumerate(wide)]
            table.add(Batch(rows * times, [], "fp32"))
            table.flush()
        if before and times == 1:
            with monkeypatch.context() as patch:
                patch.setattr(lance_index, "LEAST", 512)
                build(table)
    files, index = sorted(place.rglob("*")), LanceReader(str(place)).index()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", STOPPED, str(place), how],
        env={**os.environ, "PYTHONPATH": str(TOP), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == code and "Traceback" not in ran.stderr
    assert (index is not None) == before and LanceReader(str(place)).index() == index
    assert sorted(place.rglob("*")) == files
    if how == "SIGINT":
        assert "has the index that it had" in ran.stderr
    if how != "SIGKILL":
        assert not list(temporary.iterdir()) and not list(tmp_path.glob(".*"))


BEGUN = """
import pathlib, sys, time
from galago.media.worker import receive, send
head, _ = receive(sys.stdin.buffer, 0)
half = pathlib.Path(head["place"], "_indices", "half")
half.mkdir(parents=True)
(half / "index.idx").write_bytes(b"not whole")
send(sys.stdout.buffer, {"do": "stage", "stage": "shuffle", "done": 0, "of": None})
"""


@pytest.mark.parametrize("end", ["import time; time.sleep(100)", "sys.exit(7)", "failed"])
def test_what_it_had_begun_to_write_goes_and_no_index_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(lance_index, "LEAST", 512)
    place = tmp_path / "out.lance"
    add(str(place), 0, 600)
    build(LanceTable(str(place)))
    files = sorted(place.rglob("*"))
    last = "send(sys.stdout.buffer, {'do': 'failed', 'why': 'no room'})" if end == "failed" else end
    start = f"import json; sys.path[:] = json.loads(sys.argv[1]){BEGUN}{last}"
    monkeypatch.setattr(lance_build, "_START", f"import sys; {start}")

    def stop(*stage: object) -> None:
        assert (place / "_indices" / "half").is_dir()
        if "sleep" in end:
            raise KeyboardInterrupt

    told = {"sys.exit(7)": "was ended, exit code 7: is there", "failed": "(no room); the table is"}
    with pytest.raises((KeyboardInterrupt, StorageError)) as raised:
        build(LanceTable(str(place)), stop)
    assert told.get(end, "") in str(raised.value)
    assert sorted(place.rglob("*")) == files and LanceReader(str(place)).index() is not None


def lots(count: int, rows: int, seed: int) -> list[int]:
    """The places of a sample of a table in which every fourth row has an error."""
    arrow = pytest.importorskip("pyarrow")

    class Rows(Reader):
        made = Made("fake", "fake-1", 1)

        def count(self, where: str = "") -> int:
            return rows

        def failed(self, where: str = "") -> int:
            return rows // 4

        def batches(self, columns: Any, where: str = "") -> Any:
            for start in range(0, rows, 8192):
                places = np.arange(start, min(start + 8192, rows), dtype=np.int64)
                bad = arrow.array(np.full(len(places), "bad"), mask=places % 4 != 0)
                yield places, arrow.record_batch([bad], ["error"])

        def take(self, places: Any, columns: Any) -> Any:
            return [{"vector": [float(place)]} for place in places.tolist()]

    found = sample(Rows(), count, seed)
    assert found.stored[:, 0].tolist() == found.places.tolist()
    return [int(place) for place in found.places]


def test_a_sample_has_every_good_row_as_likely_as_any() -> None:
    times = Counter(place for seed in range(600) for place in lots(3, 16, seed))
    assert set(times) == {place for place in range(16) if place % 4}  # no row with an error
    assert all(90 < one < 210 for one in times.values())  # of 600 draws 3 of 12: 150
    assert lots(99, 16, 0) == sorted(times)  # more than there are: all, in order


def test_a_sample_holds_no_list_of_all_rows() -> None:
    lots(100, 8192, 0)
    tracemalloc.start()
    try:
        assert len(lots(100, 1_000_000, 0)) == 100
        assert tracemalloc.get_traced_memory()[1] < 3_000_000  # a list of all had 6,000,000
    finally:
        tracemalloc.stop()


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
