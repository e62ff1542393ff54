"""Folders to choose from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from galago.server import folders
from galago.server.folders import look_into
from galago.server.problems import Problem
from tests.helpers.albums import POSIX, photo
from tests.helpers.serving import Served, ask


def test_the_home_folder_level_by_level(clean_world: Path) -> None:
    home = Path(os.path.realpath(clean_world))
    photo(home / "Pictures" / "b" / "1.png")
    photo(home / "Pictures" / "2.png")
    (home / "Pictures" / ".hidden").mkdir()
    (home / "Pictures" / "A").mkdir()
    top = look_into(None)
    assert top.path == str(home) and top.up is None and top.places[0].path == str(home)
    inside = look_into(next(one.path for one in top.folders if one.name == "Pictures"))
    assert [one.name for one in inside.folders] == ["A", "b"]
    assert (inside.pictures, inside.up, inside.more) == (1, str(home), False)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/", "only the home folder and disks"),
        ("~/..", "only the home folder and disks"),
        ("~/out", "only the home folder and disks"),
        ("~/nothing", "there is no folder"),
        ("~/file", "there is no folder"),
        ("a\0b", "there is no folder"),
        ("~/\ud800", "there is no folder"),
    ],
)
def test_nothing_but_home_is_listed(clean_world: Path, path: str, told: str) -> None:
    (clean_world / "file").touch()
    (clean_world / "out").symlink_to("/")
    with pytest.raises(Problem, match=told):
        look_into(path)


def test_a_long_folder_is_told(clean_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_SHOWN", 2)
    for name in "abc":
        (clean_world / name).mkdir()
    found = look_into("~")
    assert len(found.folders) == 2 and found.more


@POSIX
def test_names_that_are_no_text_come_back_as_they_were(served: Served, clean_world: Path) -> None:
    odd = os.fsencode(clean_world) + b"/caf\xe9"
    os.makedirs(odd + b"/inside")
    top = ask(f"{served.url}/api/folders", {"path": None}).json
    found = next(one for one in top["folders"] if one["name"] == "caf?")
    assert os.fsencode(found["path"]) == os.path.realpath(odd)
    reply = ask(f"{served.url}/api/folders", {"path": found["path"]})
    assert [one["name"] for one in reply.json["folders"]] == ["inside"]


@POSIX
def test_a_closed_folder_is_told(clean_world: Path) -> None:
    closed = clean_world / "closed"
    closed.mkdir(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("this person may read everything")
    with pytest.raises(Problem, match="can't be looked into"):
        look_into(str(closed))
