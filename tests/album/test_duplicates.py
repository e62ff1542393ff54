"""Groups of like photos."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.album import Copy, duplicates, find_duplicates
from galago.album.store import content_hash
from galago.errors import OptionError
from tests.helpers.albums import POSIX, older, photo, update


def scene(path: Path, seed: int = 0) -> Path:
    """A picture with details, whose vector hardly depends on them."""
    pixels = np.random.default_rng(seed).integers(60, 180, (40, 40, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((400, 400), Image.Resampling.BICUBIC).save(path)
    older(path)
    return path


def names(groups: list[list[Copy]]) -> list[list[str]]:
    return [[Path(copy.path).name for copy in group] for group in groups]


def test_copies_and_near_copies(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    first = scene(folder / "a.png", 1)
    shutil.copy2(first, folder / "b.png")
    Image.open(first).resize((800, 800)).save(folder / "c.jpg", quality=95)
    older(folder / "c.jpg")
    alone = photo(folder / "d.png", "blue", 2)
    photo(folder / "e.png", "green", 3)
    shutil.copy2(alone, folder / "z.png")
    update(tmp_path / "album", folder)
    groups = find_duplicates(tmp_path / "album")
    assert names(groups) == [
        ["a.png", "b.png", "c.jpg"],
        ["d.png", "z.png"],
    ]
    sizes = [copy.size for copy in groups[0]]
    assert sizes == sorted(sizes, reverse=True) and groups[0][0].likeness == 1
    assert groups[0][1].likeness == 1 and 0.96 <= groups[0][2].likeness <= 1
    assert [copy.same for copy in groups[0]] == [True, True, False]
    assert all(copy.likeness == 1 and copy.same for copy in groups[1])
    assert (
        len(find_duplicates(tmp_path / "album", 1.0)) == 2
    )  # the same content, whatever the threshold
    with pytest.raises(OptionError, match="threshold"):
        find_duplicates(tmp_path / "album", 1.5)


def test_the_same_pixels_in_another_file_are_alike_but_not_the_same(tmp_path: Path) -> None:
    for seed in range(9):  # float16 makes some vectors shorter than others
        first = photo(tmp_path / "photos" / f"{seed}.png", "red", seed)
        Image.open(first).save(tmp_path / "photos" / f"{seed} again.png", compress_level=0)
    update(tmp_path / "album", tmp_path / "photos")
    groups = find_duplicates(tmp_path / "album", 1.0)
    assert [[Path(copy.path).name for copy in group] for group in groups] == [
        [f"{seed} again.png", f"{seed}.png"] for seed in range(9)
    ]
    assert all([copy.same for copy in group] == [True, False] for group in groups)


def test_what_was_moved_is_no_copy_of_itself(tmp_path: Path) -> None:
    for seed in range(3):
        scene(tmp_path / "a" / f"{seed}.png", seed)
    update(tmp_path / "album", tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    update(tmp_path / "album", tmp_path / "b")
    found = find_duplicates(tmp_path / "album")
    assert found == [] and (found.left_out.missing, found.left_out.changed) == (3, 0)


def test_a_file_with_another_size_or_time_is_left_out(tmp_path: Path) -> None:
    first = scene(tmp_path / "p" / "a.png")
    for name in ("b.png", "c.png", "d.png"):
        shutil.copy2(first, first.with_name(name))
    update(tmp_path / "album", tmp_path / "p")
    first.with_name("b.png").write_bytes(b"another picture")
    os.utime(first.with_name("c.png"), (1e9, 1e9))
    found = find_duplicates(tmp_path / "album")
    assert names(found) == [["a.png", "d.png"]] and found.left_out.changed == 2


@POSIX
def test_one_file_by_two_paths_is_one_photo(tmp_path: Path) -> None:
    first = scene(tmp_path / "p" / "a.png")
    os.link(first, first.with_name("b.png"))
    update(tmp_path / "album", tmp_path / "p")
    found = find_duplicates(tmp_path / "album")
    assert found == [] and not found.left_out


@pytest.mark.parametrize("which", ["a.png", "b.png"])
def test_what_is_said_to_be_the_same_is_compared_now(tmp_path: Path, which: str) -> None:
    first = scene(tmp_path / "p" / "a.png")
    for name in ("b.png", "c.png"):
        shutil.copy2(first, first.with_name(name))
    update(tmp_path / "album", tmp_path / "p")
    other = first.with_name(which)
    about, data = other.stat(), other.read_bytes()
    other.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    ((one, two),) = found = find_duplicates(tmp_path / "album")
    assert one.same and two.same and found.left_out.changed == 1
    assert which not in {Path(one.path).name, Path(two.path).name}


def test_every_photo_is_like_the_first_of_its_group(tmp_path: Path) -> None:
    """A chain of colours, each near the next one."""
    for number in range(12):
        colour = (200 - 14 * number, 40 + 14 * number, 60)
        path = tmp_path / "p" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8 + number, 8), colour).save(path)
        older(path)
    update(tmp_path / "album", tmp_path / "p")
    groups = find_duplicates(tmp_path / "album", 0.9, alike=True)
    assert len(groups) > 1 and sum(map(len, groups)) >= 10
    assert all(copy.likeness >= 0.9 for group in groups for copy in group)


def test_what_differs_in_its_details_is_no_copy(tmp_path: Path) -> None:
    for seed in range(4):
        scene(tmp_path / "p" / f"{seed}.png", seed)
    update(tmp_path / "album", tmp_path / "p")
    found = find_duplicates(tmp_path / "album", 0.6)
    assert found == [] and found.alike == 3
    (group,) = find_duplicates(tmp_path / "album", 0.6, alike=True)
    assert len(group) == 4


@POSIX
@pytest.mark.parametrize("change", ["pipe", "device"])
def test_what_became_no_file_is_not_read(tmp_path: Path, change: str) -> None:
    """Swapped after it was looked at, too: nobody waits for a pipe or reads a device for ever."""
    first = photo(tmp_path / "a.png")
    other = tmp_path / "b.png"
    if change == "pipe":
        os.mkfifo(other)
    else:
        other.symlink_to("/dev/zero")
    one, two = os.fsencode(first), os.fsencode(other)
    assert not duplicates._same_bytes(one, two) and not duplicates._same_bytes(two, one)
    assert duplicates._digest(two) is None
    assert duplicates._digest(one) == content_hash(first.read_bytes()).digest()
