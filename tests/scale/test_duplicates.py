"""Copies in a table are what they are in an album."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.album import find_duplicates as in_album
from galago.errors import ImageError, OptionError, StorageError
from galago.scale.duplicates import find_duplicates
from galago.scale.reader import Record
from tests.helpers.albums import FakeEmbedder, photo, update
from tests.helpers.commandline import POSIX_ONLY
from tests.helpers.places import TOP
from tests.helpers.readers import FakeReader, made_by, read_rows, table_row


def read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError:
        raise ImageError(f"{name} can't be read") from None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    for colour in ("red", "green", "blue"):
        photo(place / f"{colour}.png", colour)
    shutil.copy2(place / "red.png", place / "red again.png")
    Image.open(place / "red.png").save(place / "red other.png", compress_level=0)
    turned = Image.open(place / "blue.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(place / "blue turned.png")
    return place


@pytest.fixture
def rows(folder: Path) -> list[Record]:
    model = FakeEmbedder()
    found = [table_row(path, model) for path in sorted(folder.iterdir())]
    return [*read_rows("/bad.png"), *found]


def reader(rows: list[Record], vectors: str = "float16") -> FakeReader:
    return FakeReader(rows, made_by(FakeEmbedder(), vectors))


@pytest.mark.parametrize("vectors", ["float16", "float32"])
@pytest.mark.parametrize("alike", [False, True])
def test_as_in_an_album_of_the_same_pictures(
    rows: list[Record], folder: Path, tmp_path: Path, alike: bool, vectors: str
) -> None:
    update(tmp_path / "album", folder, model=FakeEmbedder())
    heard: list[float] = []
    wanted = in_album(tmp_path / "album", alike=alike)
    found = find_duplicates(reader(rows, vectors), report=heard.append, alike=alike, read=read)
    assert wanted and [[one.path for one in group] for group in found] == [
        [one.path for one in group] for group in wanted
    ]
    assert [[one.same for one in group] for group in found] == [
        [one.same for one in group] for group in wanted
    ]
    assert found.alike == wanted.alike and found.unopened == 0
    assert heard == sorted(heard) and heard[-1] == 1


def test_pictures_that_cant_be_read_are_copies_of_nothing(rows: list[Record], folder: Path) -> None:
    (folder / "red other.png").unlink()
    found = find_duplicates(reader(rows), read=read)
    assert [[Path(one.path).name for one in group] for group in found] == [
        ["red again.png", "red.png"]  # of one content, which needs no look
    ]
    assert found.unopened == 1


def test_of_some_rows_alone(rows: list[Record]) -> None:
    found = find_duplicates(reader(rows), where="again", alike=True, read=read)
    assert found == []


def test_a_table_without_contents_is_told_by_looks(rows: list[Record]) -> None:
    for row in rows:
        row["sha256"] = row["size"] = None
    (group,) = find_duplicates(reader(rows), read=read)
    assert len(group) == 3 and [one.same for one in group] == [True, False, False]
    assert {one.size for one in group} == {0}


def test_names_are_asked_for_some_groups_at_a_time(
    rows: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = find_duplicates(reader(rows), alike=True, read=read)
    monkeypatch.setattr("galago.scale.duplicates._ASKED", 2)
    assert find_duplicates(reader(rows), alike=True, read=read) == whole


STOPPED = """
import sys, time
import numpy as np
from galago.scale.duplicates import find_duplicates
from tests.helpers.readers import FakeReader, made_by, table_row
from tests.helpers.albums import FakeEmbedder

rows = [table_row(str(n), vector=np.eye(FakeEmbedder.dim)[n % 2]) for n in range(50)]

def report(share):
    if share >= float(sys.argv[1]):
        print("there", flush=True)
        time.sleep(60)

find_duplicates(FakeReader(rows, made_by(FakeEmbedder())), report=report, read=lambda name: b"")
"""


@POSIX_ONLY
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("share", ["0.1", "0.3", "0.8"])  # written, compared, looked at
def test_nothing_is_left_behind_however_it_ends(
    tmp_path: Path, share: str, how: signal.Signals
) -> None:
    command = [sys.executable, "-c", STOPPED, share]
    env = {**os.environ, "PYTHONPATH": str(TOP), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout is not None and process.stdout.readline() == "there\n"
        process.send_signal(how)
        assert process.wait(30) == -how and not list(tmp_path.iterdir())
    finally:
        process.kill()
        process.communicate()


def test_nowhere_to_write_is_told(rows: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", list)
    with pytest.raises(StorageError, match="set TMPDIR to one"):
        find_duplicates(reader(rows), read=read)


def test_odd_numbers_are_the_tables_and_no_albums(rows: list[Record]) -> None:
    rows[-1]["vector"] = np.full(FakeEmbedder.dim, np.nan)
    with pytest.raises(StorageError, match="the table holds vectors with odd numbers"):
        find_duplicates(reader(rows), read=read)


def test_a_table_of_errors_and_a_threshold_that_cant_be() -> None:
    assert find_duplicates(reader(read_rows("/a.png")), read=read) == []
    with pytest.raises(OptionError, match="threshold of 0.1"):
        find_duplicates(reader([]), 0.1, read=read)
