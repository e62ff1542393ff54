"""Changes in an album's folders: told once, and folders without their disk are left alone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from galago.album import following
from galago.album.following import Presence, follow
from galago.album.kinds import wanted
from galago.errors import MissingExtraError, StorageError


class Disks:
    """Which device each folder is on; None: it isn't there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **at: int | None) -> None:
        self.at: dict[str, int | None] = {"/": 1, **{f"/{name}": disk for name, disk in at.items()}}
        monkeypatch.setattr(following, "_device", self.at.get)

    def set(self, name: str, disk: int | None) -> None:
        self.at[f"/{name}"] = disk


def test_a_folder_without_its_disk_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    disks = Disks(monkeypatch, photos=1, usb=7)
    presence = Presence(["/photos", "/usb"])
    both = {"/photos", "/usb"}
    assert presence.there() == both
    for place in (1, None):  # an empty folder in its place, or none
        disks.set("usb", place)
        assert presence.there() == presence.there() == {"/photos"}
        disks.set("usb", 7)
        assert presence.there() == both
    disks.set("usb", None)
    assert presence.there() == {"/photos"}
    disks.set("usb", 1)  # made before the disk is put there
    assert presence.there() == {"/photos"}
    disks.set("usb", 9)  # the same disk by another number
    assert presence.there() == both


def test_a_folder_that_was_moved_away_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    disks = Disks(monkeypatch, photos=1)
    presence = Presence(["/photos"])
    disks.set("photos", None)
    assert not presence.there()
    disks.set("photos", 1)
    assert presence.there() == {"/photos"}


class FakeWatch:
    """What the system tells, one set after the other; then the watching is stopped."""

    def __init__(self, stop: threading.Event, *told: Any) -> None:
        self.stop, self.told = stop, list(told)
        self.watched: list[tuple[str, ...]] = []

    def watch(self, *folders: str, watch_filter: Any, **_: Any) -> Iterator[Any]:
        self.watched.append(folders)
        while self.told:
            one = self.told.pop(0)
            if callable(one):
                one()
                one = set()
            if isinstance(one, Exception):
                raise one
            yield {path for path in one if watch_filter(None, path)}
        self.stop.set()


def _follow(
    monkeypatch: pytest.MonkeyPatch, folders: list[str], *told: Any
) -> tuple[list[list[str]], list[tuple[str, bool]], FakeWatch]:
    stop = threading.Event()
    fake = FakeWatch(stop, *told)
    monkeypatch.setattr(following, "import_watchfiles", lambda: fake)
    moved: list[tuple[str, bool]] = []
    found = follow(folders, wanted(), report=lambda *one: moved.append(one), stop=stop)
    return [sorted(there) for there in found], moved, fake


def test_changes_are_told_and_quiet_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path)
    # The first time tells of what changed while nobody listened.
    told, moved, _ = _follow(monkeypatch, [folder], set(), set(), {f"{folder}/a.jpg"}, set())
    assert told == [[folder], [folder]] and moved == []


def test_only_what_may_be_a_photo_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "new").mkdir()
    counts = following._Filter([str(tmp_path)], wanted())
    expected = {
        "a.JPG": True,
        "deep/b.nef": True,
        "notes.txt": False,
        "new": True,  # a folder
        "gone": True,  # which may have been one
        ".cache/galago/x.part": False,
        "albums/default/album.sqlite-wal": False,
        ".hidden/c.png": True,
    }
    assert {name: counts(None, str(tmp_path / name)) for name in expected} == expected


def test_a_disk_that_goes_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    disks = Disks(monkeypatch, photos=1, usb=7)
    told, moved, fake = _follow(
        monkeypatch,
        ["/photos", "/usb"],
        set(),
        lambda: disks.set("usb", 1),
        set(),
        {"/photos/a.jpg"},
        lambda: disks.set("usb", 7),
        set(),
    )
    assert moved == [("/usb", False), ("/usb", True)]
    assert fake.watched == [("/photos", "/usb"), ("/photos",), ("/photos", "/usb")]
    both = ["/photos", "/usb"]
    assert all(there in (both, ["/photos"]) for there in told) and told[0] == told[-1] == both
    assert ["/photos"] in told


def test_what_the_system_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for reason, words in (
        ("OS file watch limit reached. about []", "fs.inotify.max_user_watches"),
        ("Error creating recommended watcher: Too many open files (os error 24)", "instances"),
        ("something else", "can't be watched: something else"),
    ):
        for kind in (OSError, RuntimeError):
            with pytest.raises(StorageError, match=words):
                _follow(monkeypatch, [str(tmp_path)], kind(reason))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(MissingExtraError, match="extra watch: .*watchfiles"):
        following.import_watchfiles()


def test_the_system_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchfiles", reason="the extra `watch` is not installed")
    monkeypatch.setattr(following, "_QUIET", 20)
    monkeypatch.setattr(following, "_LOOK", 50)
    stop = threading.Event()
    seen = 0
    folder = os.path.realpath(tmp_path)
    for there in follow([folder], wanted(), report=lambda *_: None, stop=stop):
        assert there == {folder}
        seen += 1
        if seen == 1:
            (tmp_path / "a.jpg").write_bytes(b"new")
        else:
            stop.set()
    assert seen == 2
