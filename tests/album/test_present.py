"""What an album says of files, and what the disk says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from galago.album.present import Check, Checked, Indexed, LeftOut, opened
from tests.helpers.albums import POSIX, photo


def indexed(path: Path) -> Indexed:
    about = path.stat()
    return Indexed(os.fsencode(path), about.st_size, about.st_mtime_ns)


def test_files_are_turned_away_when_they_are_not_as_they_were(tmp_path: Path) -> None:
    whole, gone, grown, touched = (photo(tmp_path / f"{n}.png", seed=n) for n in range(4))
    files = [indexed(path) for path in (whole, gone, grown, touched)]
    gone.unlink()
    grown.write_bytes(grown.read_bytes() + b"x")
    os.utime(touched, (1e9, 1e9))
    check = Check()
    assert [check.admits(file) for file in files] == [True, False, False, False]
    assert check.left_out == LeftOut(missing=1, changed=2)
    unknown = Indexed(os.fsencode(touched), touched.stat().st_size, 0)
    assert check.admits(unknown)


@POSIX
def test_a_file_is_admitted_once(tmp_path: Path) -> None:
    first = photo(tmp_path / "a.png")
    os.link(first, tmp_path / "b.png")
    check = Check()
    assert check.admits(indexed(first)) and not check.admits(indexed(tmp_path / "b.png"))
    assert not check.left_out


@POSIX
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full", "pipe", "folder"])
def test_what_is_no_file_is_turned_away(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    place = tmp_path / path
    check = Check()
    assert not check.admits(Indexed(os.fsencode(place), place.stat().st_size, 0))
    assert check.left_out == LeftOut(changed=1)


@POSIX
@pytest.mark.parametrize("path", ["/dev/zero", "pipe"])
def test_only_files_are_opened(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        opened(os.fsencode(tmp_path / path))
    with opened(os.fsencode(photo(tmp_path / "a.png"))) as file:
        assert file.read(4) == b"\x89PNG"


def test_what_is_left_out_is_said() -> None:
    told = LeftOut(1200, 1).sentence()
    assert told == "left out of what was indexed: 1,200 no longer there, 1 changed since"
    found = Checked(["a"], LeftOut(1))
    assert found == ["a"] and found.left_out and not Checked().left_out
