"""`galago album --export` and `--import`: what a person types and sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from galago.cli import embed, search_table
from tests.helpers.albums import Models, paths_in
from tests.helpers.commandline import documented, run
from tests.helpers.readers import FakeReader, as_records
from tests.helpers.tables import KeptTable

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A table in a dictionary, written and read."""
    held: dict[str, Any] = {}

    def opened(place: str, offline: bool = False) -> FakeReader:
        return FakeReader(as_records(KeptTable(tmp_path, held)), held["made"])

    monkeypatch.setattr(embed, "open_table", lambda out: KeptTable(tmp_path, held))
    monkeypatch.setattr(search_table, "opened", opened)
    return held


def test_there_and_back(
    capsys: Capture, indexed: Path, kept: dict[str, Any], tmp_path: Path
) -> None:
    (indexed / "bad.png").write_bytes(b"none")
    run(capsys, "index")
    out = run(capsys, "album", "--export", "out.lance")
    assert out.code == 0 and out.out.endswith("out.kept: 45 new, 1 with an error\n")
    assert "width, height and sha256" in out.err
    again = json.loads(run(capsys, "album", "--export", "out.lance", "--json").out)
    assert (again["new"], again["known"]) == (0, 46)
    assert set(again) == documented("album --export")

    back = run(capsys, "album", "--album", "back", "--import", "out.lance")
    assert back.code == 0 and back.out == "album back: 45 new, 0 there before\n"
    assert "1 left out: rows with an error" in back.err and "rounded" not in back.err
    albums = tmp_path / "albums"
    assert paths_in(albums / "back") == paths_in(albums / "default")
    record = json.loads(
        run(capsys, "album", "--album", "back", "--import", "out.lance", "--json").out
    )
    assert (record["new"], record["known"]) == (0, 45)
    assert set(record) == documented("album --import")
    found = run(capsys, "search", "--album", "back", "a red thing", "-k", "3")
    assert found.code == 0 and found.out.count("/red/") == 3


def test_what_is_gone_is_counted(capsys: Capture, indexed: Path, kept: dict[str, Any]) -> None:
    run(capsys, "album", "--export", "out.lance")
    shutil.rmtree(indexed / "blue")
    back = run(capsys, "album", "--album", "back", "--import", "out.lance")
    assert back.out == "album back: 30 new, 0 there before\n"
    assert "15 left out: files that aren't there" in back.err


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("--export", "a.lance", "--import", "b.lance"), "give one of --export, --import"),
        (("--export", "a.lance", "--forget", "/x"), "give one of --export, --import"),
        (("--export", ""), "the name of the table is empty"),
        (("-m", "fake"), "-m is for --import IN alone"),
        (("--export", "table"), "says no format"),
        (("--export", "s3://b/a.lance", "--offline"), "--offline contacts nobody"),
    ],
)
def test_what_cant_be_is_one_line(
    capsys: Capture, indexed: Path, asked: tuple[str, ...], line: str
) -> None:
    ran = run(capsys, "album", *asked)
    assert ran.code == 2 and line in ran.line


def test_an_album_that_isnt_there(capsys: Capture, models: Models, kept: dict[str, Any]) -> None:
    ran = run(capsys, "album", "--album", "none", "--export", "out.lance")
    assert ran.code == 2 and "there is no album 'none' yet" in ran.line
