"""`galago album`, and what every verb says of an empty or a damaged one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from galago.album import album_folder
from galago.album.names import DATABASE
from tests.helpers.commandline import found, run

Capture = pytest.CaptureFixture[str]


def test_album_tells_what_there_is(capsys: Capture, indexed: Path) -> None:
    shutil.copy2(indexed / "red" / "1.png", indexed / "copy.png")
    run(capsys, "index")
    run(capsys, "index", indexed / "red", "--album", "red ones")
    shown_ = run(capsys, "album").out
    for text in ("46, 1 of them copies", "mobileclip2-nano", str(indexed), "red ones", "MB in"):
        assert text in shown_
    record = json.loads(run(capsys, "album", "--album", "red ones", "--json").out)
    assert record["photos"] == 15 and record["folders"] == [str(indexed / "red")]
    assert record["bytes"] > 1000 and record["others"] == ["default"]


def test_a_folder_can_be_forgotten(capsys: Capture, indexed: Path) -> None:
    assert run(capsys, "album", "--forget", indexed / "red").out == "15 photos left album default\n"
    assert not any("/red/" in path for path in found(run(capsys, "search", "red", "--all")))
    assert run(capsys, "album", "--forget", indexed / "nothing").code == 2
    assert run(capsys, "index").out == "album default: 30 photos (30 unchanged)\n"
    assert f"without  {indexed / 'red'}\n" in run(capsys, "album").out
    assert run(capsys, "album", "--forget", indexed).code == 0
    assert "say which folder" in run(capsys, "index").line


def test_a_damaged_album_is_told(capsys: Capture, indexed: Path) -> None:
    database = album_folder() / DATABASE
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    for args in (["index"], ["album"], ["album", "--failed"]):
        told = run(capsys, *args)
        assert told.code == 2 and "is damaged" in told.line and "index again" in told.line


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE head SET dim = 'many'",
        "UPDATE head SET changed = 1e300",
        "UPDATE background SET reach = x'00'",
        "UPDATE folders SET skip = '[1'",
        "UPDATE photos SET row = 1000000",
        "UPDATE photos SET size = 'large'",
    ],
)
def test_odd_values_in_an_album_are_told(capsys: Capture, indexed: Path, damage: str) -> None:
    with sqlite3.connect(album_folder() / DATABASE) as database:
        database.execute(damage)
    database.close()
    for args in (["index"], ["duplicates"], ["album", "--failed"]):
        told = run(capsys, *args)
        assert told.code == 2 and "is damaged" in told.line and "index again" in told.line
    assert run(capsys, "search", "red").code in (0, 2)


def test_an_empty_album_is_told(capsys: Capture, indexed: Path) -> None:
    shutil.rmtree(indexed)
    indexed.mkdir()
    assert run(capsys, "index", indexed).out == "album default: 0 photos (45 gone)\n"
    for args in (["search", "red"], ["duplicates"]):
        assert "has no photos yet" in run(capsys, *args).line
