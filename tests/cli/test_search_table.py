"""`galago search --lance` and `galago duplicates --lance`: what a person types and sees."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from galago.cli import search_table
from galago.scale.reader import Index
from galago.scale.rows import Made
from tests.helpers.albums import FakeEmbedder, Models, photo
from tests.helpers.commandline import found, run
from tests.helpers.readers import FakeReader, read_rows, table_row

Capture = pytest.CaptureFixture[str]
LANCE = ("search", "--lance", "pictures.lance")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Models) -> FakeReader:
    """Nine pictures and one that is none, by a model called fake-small."""
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    model = FakeEmbedder()
    paths = [
        photo(tmp_path / "in" / f"{colour}{seed}.png", colour, seed)
        for colour in ("red", "green", "blue")
        for seed in range(3)
    ]
    rows = [table_row(path, model) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        micros = path.stat().st_mtime_ns // 1000
        row["modified"] = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    rows[0]["caption"] = "A red square."
    rows += read_rows("/bad.png")
    made = Made("fake-small", "fake-1", 24, "float16")
    reader = FakeReader(rows, made)
    monkeypatch.setattr(search_table, "opened", lambda place, offline=False: reader)
    return reader


def test_by_words_with_the_tables_own_model(
    capsys: Capture, table: FakeReader, models: Models
) -> None:
    ran = run(capsys, *LANCE, "a", "red", "thing", "-k", "2")
    assert ran.code == 0 and models.asked == ["fake-small"]
    assert all("/red" in path for path in found(ran)) and len(found(ran)) == 2
    assert ran.err == "left out: 1 of 10 rows have an error and no vector\n"


def test_json_paths_and_a_filter(capsys: Capture, table: FakeReader) -> None:
    ran = run(capsys, *LANCE, "red", "--where", "red0", "--json", "-k", "5")
    (record,) = map(json.loads, ran.out.splitlines())
    assert record["path"].endswith("red0.png") and record["caption"] == "A red square."
    assert record["match"] and record["taken_by"] == "file" and record["copies"] == []
    assert ran.err == ""
    paths = run(capsys, *LANCE, "red", "--paths").out.splitlines()
    assert len(paths) == 3 and all(Path(path).is_file() for path in paths)


def test_nothing_found_is_told(capsys: Capture, table: FakeReader) -> None:
    none = run(capsys, *LANCE, "red", "--where", "xyzzy")
    assert (none.code, none.out, none.err) == (0, "", "no row fulfils --where\n")
    other = run(capsys, *LANCE, "red", "--where", "blue")
    assert other.err == (
        "no picture that fulfils --where matches; --all shows the nearest all the same\n"
    )
    assert len(found(run(capsys, *LANCE, "red", "--where", "blue", "--all"))) == 3


def test_a_page_with_pictures_wherever_they_are(
    capsys: Capture, table: FakeReader, tmp_path: Path
) -> None:
    table._rows[1]["path"] = str(tmp_path / "gone.png")
    page = tmp_path / "page.html"
    ran = run(capsys, *LANCE, "red", "--html", page)
    assert ran.code == 0
    text = page.read_text("utf-8")
    assert text.count("<figure>") == 3 and text.count("data:image/jpeg") == 2
    assert text.count(' href="file:') == 2 and "gone.png can&#x27;t be read" in text


def test_rows_newer_than_the_index_are_told(
    capsys: Capture, table: FakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    table._index = Index("IVF_PQ", 7, 3)
    assert "newer" not in run(capsys, *LANCE, "red").err  # all vectors are looked at
    monkeypatch.setattr("galago.scale.search.EXACT", 5)
    ran = run(capsys, *LANCE, "red")
    assert "3 rows are newer than the index" in ran.err and len(found(ran)) == 3
    assert "newer" not in run(capsys, *LANCE, "red", "--exact").err


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("red", "--where", "no sql"), "'no sql' is no condition"),
        (("red", "--where", " "), "--where is empty"),
        (("red", "-m", "fake-other"), "holds vectors of fake-small, not fake-other"),
        (("red", "--in", "/tmp"), "--in FOLDER is for albums"),
        (("red", "--since", "2025"), "--since DATE is for albums"),
        (("red", "--text"), "--text is for albums"),
        (("red", "-k", "5000"), "ask for 1 to 1,000"),
        (("red", "--preview"), "--preview shows files"),
        ((), "say what to look for"),
        (("--minus", "red"), "say what to look for"),
    ],
)
def test_what_cant_be_is_one_line(
    capsys: Capture, table: FakeReader, asked: tuple[str, ...], line: str
) -> None:
    ran = run(capsys, *LANCE, *asked)
    assert ran.code == 2 and line in ran.line


@pytest.mark.parametrize("option", [("--where", "x = 1"), ("--exact",)])
def test_an_album_has_no_filter(capsys: Capture, models: Models, option: tuple[str, ...]) -> None:
    ran = run(capsys, "search", "red", *option)
    assert ran.code == 2 and "name one with --lance OUT" in ran.line


def test_a_name_that_says_no_format(capsys: Capture, models: Models) -> None:
    ran = run(capsys, "search", "--lance", "pictures", "red")
    assert ran.code == 2 and "pictures is no table of galago embed" in ran.line
    ran = run(capsys, "search", "--lance", "s3://b/a.lance", "red", "--offline")
    assert ran.code == 2 and "--offline contacts nobody" in ran.line


def test_copies(capsys: Capture, table: FakeReader, tmp_path: Path) -> None:
    first = Path(table._rows[0]["path"])
    shutil.copy2(first, again := first.with_name("again.png"))
    table._rows.append({**table._rows[0], "path": str(again)})
    ran = run(capsys, "duplicates", "--lance", "pictures.lance", "--threshold", "1")
    assert ran.code == 0 and [line[:4] for line in ran.out.splitlines()] == ["same"] * 2
    assert "left out: 1 rows have an error" in ran.err and "1 group of 2 photos" in ran.err
    record: dict[str, Any] = json.loads(
        run(capsys, "duplicates", "--lance", "x.lance", "--threshold", "1", "--json").out
    )
    assert {one["path"] for one in record["photos"]} == {str(first), str(again)}
    page = tmp_path / "copies.html"
    run(capsys, "duplicates", "--lance", "x.lance", "--threshold", "1", "--html", page)
    assert page.read_text("utf-8").count("data:image/jpeg") == 2


def test_copies_that_cant_be_read(capsys: Capture, table: FakeReader) -> None:
    for row in table._rows:
        if row["vector"] is not None:
            row["path"] = row["path"].replace("/in/", "/elsewhere/")
    ran = run(capsys, "duplicates", "--lance", "pictures.lance", "--threshold", "0.9")
    assert ran.out == "" and "can't be read here" in ran.err
    assert run(capsys, "duplicates", "--where", "x").code == 2
