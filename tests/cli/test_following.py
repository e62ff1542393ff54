"""`galago index --watch` as a person meets it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from galago.album import following
from galago.errors import StorageError
from tests.helpers.albums import paths_in, photo
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("models")
Step = Callable[[], frozenset[str] | None]


def _told(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> list[list[str]]:
    """What follows the first run: each step does something, and may say which folders are left."""
    asked: list[list[str]] = []

    def follow(folders: Any, suffixes: Any, **_: Any) -> Iterator[frozenset[str]]:
        asked.append(list(folders))
        for step in steps:
            yield step() or frozenset(folders)
        raise KeyboardInterrupt

    monkeypatch.setattr(following, "follow", follow)
    return asked


def test_what_changes_is_indexed_until_ctrl_c(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _told(
        monkeypatch,
        lambda: None,  # nothing changed, so nothing is told
        lambda: photo(photos / "new.png", "red", 99) and None,
        lambda: (photos / "new.png").unlink(),
    )
    result = run(capsys, "index", photos, "--watch", "--skip", "green")
    lines = result.out.splitlines()
    assert result.code == 130 and asked == [[os.path.realpath(photos)]]
    assert [line.split(" (")[0] for line in lines] == [
        "album default: 30 photos",
        "album default: 31 photos",
        "album default: 30 photos",
    ]
    assert "1 new" in lines[1] and "1 gone" in lines[2]
    assert result.err.strip() == "watching 1 folder for changes; Ctrl-C ends it"


def test_a_folder_without_its_disk_stays_as_it_was(
    capsys: Capture, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "disk" / "a.png", "red", 98)
    disk, rest = os.path.realpath(tmp_path / "disk"), os.path.realpath(photos)

    def unmounted() -> frozenset[str]:
        shutil.rmtree(disk)
        os.mkdir(disk)
        photo(photos / "new.png", "red", 99)
        return frozenset({rest})

    _told(monkeypatch, unmounted)
    result = run(capsys, "index", photos, disk, "--watch")
    assert "47 photos (1 new, 45 unchanged)" in result.out
    assert f"{disk}/a.png" in paths_in(tmp_path / "albums" / "default")


def test_only_the_folders_named_are_watched(
    capsys: Capture, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "index", photos)
    photo(tmp_path / "other" / "a.png", "red", 98)

    def both() -> None:
        photo(tmp_path / "other" / "b.png", "red", 97)
        photo(photos / "new.png", "red", 99)

    _told(monkeypatch, both)
    result = run(capsys, "index", tmp_path / "other", "--watch")
    assert "47 photos (1 new, 1 unchanged)" in result.out.splitlines()[1]
    # A named one may be part of another.
    _told(monkeypatch, lambda: photo(photos / "red" / "more.png", "red", 96) and None)
    result = run(capsys, "index", photos / "red", "--watch")
    assert "2 new" in result.out.splitlines()[1]


def test_a_full_disk_is_told_and_the_next_change_tries_again(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.album import indexing

    real = indexing._Run.run
    faults = iter([None, StorageError("the disk is full: make room"), None])

    def fails(self: Any, named: Any) -> Any:
        if (fault := next(faults)) is not None:
            raise fault
        return real(self, named)

    monkeypatch.setattr(indexing._Run, "run", fails)
    _told(
        monkeypatch,
        lambda: photo(photos / "new.png", "red", 99) and None,
        lambda: None,
    )
    result = run(capsys, "index", photos, "--watch")
    assert result.code == 130 and result.line.endswith("the disk is full: make room")
    assert "1 new" in result.out.splitlines()[1]


def test_ctrl_c_at_work_says_what_is_kept(
    capsys: Capture, photos: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def more() -> None:
        models.stop_after = 20
        for seed in range(100, 140):
            photo(photos / f"{seed}.png", "blue", seed)

    _told(monkeypatch, more)
    result = run(capsys, "index", photos, "--watch")
    assert result.code == 130 and "16 of 40 files are done and kept" in result.err


def test_without_the_extra_nothing_is_begun(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    result = run(capsys, "index", photos, "--watch")
    assert result.code == 2 and "watchfiles" in result.line and result.out == ""
