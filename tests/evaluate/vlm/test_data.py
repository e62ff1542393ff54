"""Where data sets lie, which they are, and what to do about those that aren't there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from galago.errors import OptionError, StorageError
from galago.evaluate.vlm.data import find_data, link_data, missing_line
from galago.evaluate.vlm.tasks import tasks_named

(POPE,) = tasks_named("pope")
NAME = "lmms-lab-encoder/POPE"


def put(folder: Path, text: str = "x") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.parquet").write_text(text)
    return folder


def digest_in(folder: Path) -> str:
    found = find_data(NAME, folder)
    assert found is not None
    return found.digest


def test_in_a_folder(tmp_path: Path) -> None:
    place = put(tmp_path / NAME)
    found = find_data(NAME, tmp_path)
    assert found is not None and (found.name, found.folder) == (NAME, place)


def test_its_digest_is_of_its_files(tmp_path: Path) -> None:
    place = put(tmp_path / NAME)
    digests = {digest_in(tmp_path)}
    os.utime(place / "test.parquet", ns=(1, 1))
    digests.add(digest_in(tmp_path))
    put(place / "more")
    digests.add(digest_in(tmp_path))
    assert len(digests) == 3
    put(place / ".cache")  # the hub's client notes there when it looked last
    assert digest_in(tmp_path) in digests


def test_in_the_cache_of_the_hubs_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "datasets--lmms-lab-encoder--POPE" / "snapshots"
    old, new = put(home / "b"), put(home / "a")
    os.utime(old, (1, 1))
    assert find_data(NAME, None).folder == new  # type: ignore[union-attr]


def test_what_is_missing_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / NAME).mkdir(parents=True)  # empty
    for folder, into in ((None, ""), (tmp_path, f" --local-dir {tmp_path / NAME}")):
        assert find_data(NAME, folder) is None
        line = missing_line(POPE, folder)
        assert line.endswith(f"hf download {NAME} --repo-type dataset{into}") and "\n" not in line
    with pytest.raises(OptionError, match="is no folder"):
        find_data(NAME, tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="links are for developers there")
def test_links_to_it(tmp_path: Path) -> None:
    put(tmp_path / "data" / NAME, "here")
    found = find_data(NAME, tmp_path / "data")
    assert found is not None
    for _ in range(2):  # the second time over the first
        link_data(found, tmp_path / "work")
    assert (tmp_path / "work" / NAME / "test.parquet").read_text() == "here"
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be made"):
        link_data(found, tmp_path / "file")
