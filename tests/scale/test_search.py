"""A table is searched as an album of the same pictures is."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from galago.album import Searcher, Want
from galago.album.wants import parts_of
from galago.errors import OptionError
from galago.scale import search
from galago.scale.reader import Index, Record
from galago.scale.search import TableSearcher
from tests.helpers.albums import FakeEmbedder, photo, update
from tests.helpers.readers import FakeReader, made_by, read_rows, table_row

COLOURS = ("red", "green", "blue", "yellow", "grey")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def rows(tmp_path: Path) -> list[Record]:
    model = FakeEmbedder()
    paths = [photo(tmp_path / "in" / f"{c}{n}.png", c, n) for c in COLOURS for n in range(4)]
    return [*(table_row(path, model) for path in sorted(paths)), *read_rows("/bad.png")]


def parts(*wants: Want) -> Any:
    return parts_of(wants, FakeEmbedder(), threading.Lock())[0]


def searcher(rows: list[Record], where: str = "", **more: Any) -> TableSearcher:
    model = FakeEmbedder()
    return TableSearcher(FakeReader(rows, made_by(model), **more), model, where)


@pytest.mark.parametrize("only_matches", [True, False])
@pytest.mark.parametrize(
    "wants",
    [
        [Want("a red thing")],
        [Want("blue"), Want("green", wanted=False)],
        [Want(picture="red0.png"), Want("yellow", weight=0.5)],
    ],
)
def test_the_same_photos_in_the_same_order(
    rows: list[Record], tmp_path: Path, wants: list[Want], only_matches: bool
) -> None:
    update(tmp_path / "album", tmp_path / "in", model=FakeEmbedder())
    asked = parts(*(
        Want(picture=tmp_path / "in" / str(want.picture)) if want.picture else want
        for want in wants
    ))  # fmt: skip
    with Searcher(tmp_path / "album") as album:
        wanted = album.search(asked, 9, only_matches=only_matches)
    found = searcher(rows).search(asked, 9, only_matches=only_matches)
    assert wanted and [hit.path for hit in found] == [hit.path for hit in wanted]
    assert [hit.match for hit in found] == [hit.match for hit in wanted]
    for mine, its in zip(found, wanted, strict=True):
        assert mine.score == pytest.approx(its.score, abs=2e-3)
        assert mine.strength == pytest.approx(its.strength, abs=2e-2)


def test_files_of_one_content_are_one_hit(rows: list[Record]) -> None:
    copy = {**rows[0], "path": "s3://bucket/copy.png"}
    first = searcher([*rows, copy, copy]).search(parts(Want("blue")), 1)[0]
    assert first.path.endswith("blue0.png") or first.copies == ()
    by_path = {hit.path: hit for hit in searcher([*rows, copy]).search(parts(Want("blue")), 20)}
    assert by_path[rows[0]["path"]].copies == ("s3://bucket/copy.png",)
    assert len(by_path) == 20


def test_what_is_shown_of_a_row(rows: list[Record]) -> None:
    when = datetime(2025, 6, 14, 12, tzinfo=timezone.utc)
    rows[0] |= {"path": "n\\xe9.png", "path_bytes": b"n\xe9.png", "modified": when,
                "caption": "A cup."}  # fmt: skip
    (hit,) = (h for h in searcher(rows).search(parts(Want("blue")), 20) if h.caption)
    assert hit.path.encode("utf-8", "surrogateescape") == b"n\xe9.png"
    assert hit.caption == "A cup." and hit.by_file
    assert hit.taken == f"{when.astimezone():%Y-%m-%d %H:%M:%S}"


def test_only_rows_that_pass(rows: list[Record]) -> None:
    found = searcher(rows, "red").search(parts(Want("blue")), 20)
    assert len(found) == 4 and all("red" in hit.path for hit in found)
    assert searcher(rows, "nothing").search(parts(Want("blue"))) == []


def test_by_the_index_where_the_table_is_large(
    rows: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index("IVF_PQ", 15, 6)
    wanted = searcher(rows).search(parts(Want("blue")), 5)
    small = searcher(rows, index_of=index)
    assert not small.by_index and small.missing == 0
    monkeypatch.setattr(search, "EXACT", 20)
    large = searcher(rows, index_of=index)
    assert large.by_index and large.missing == 6
    assert large.search(parts(Want("blue")), 5) == wanted
    reader = large._reader
    assert isinstance(reader, FakeReader) and reader.by_index == 1
    assert not searcher(rows).by_index  # which has none
    model = FakeEmbedder()
    exact = TableSearcher(FakeReader(rows, made_by(model), index_of=index), model, exact=True)
    assert not exact.by_index


def test_another_model_is_refused(rows: list[Record]) -> None:
    other = FakeEmbedder("fake-2")
    with pytest.raises(OptionError, match="holds vectors of another fake"):
        TableSearcher(FakeReader(rows, made_by(FakeEmbedder())), other)
    other.name = "other"
    with pytest.raises(OptionError, match="holds vectors of fake, not other"):
        TableSearcher(FakeReader(rows, made_by(FakeEmbedder())), other)


def test_nothing_to_look_for(rows: list[Record]) -> None:
    with pytest.raises(OptionError, match="not only what to leave out"):
        searcher(rows).search(parts(Want("blue", wanted=False)))
    for k in (0, 1001):
        with pytest.raises(OptionError, match="ask for 1 to 1,000"):
            searcher(rows).search(parts(Want("blue")), k)
