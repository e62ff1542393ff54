"""Walking folders: every picture once, whatever people's folders are like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from galago.album.scan import Rules, Scan, as_roots, below
from galago.errors import OptionError
from tests.helpers.albums import POSIX


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(scan: Scan, root: Path) -> list[str]:
    return [os.path.relpath(os.fsdecode(found.path), root) for found in scan]


def test_pictures_of_all_kinds_in_all_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b/c.PNG", "b/d/e.heic", "f.webp", "notes.txt", "b/film.mp4", "g")
    scan = Scan((str(tmp_path),))
    assert names(scan, tmp_path) == ["a.jpg", "f.webp", "b/c.PNG", "b/d/e.heic"]
    assert scan.others == 3 and not scan.unreadable


def test_hidden_and_skipped_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".h/a.jpg", ".b.jpg", "node_modules/c.jpg", "@eaDir/d.jpg", "x.lrdata/e.jpg")
    touch(tmp_path, "own/f.jpg", "quiet/.nomedia", "quiet/g.jpg", "z.jpg")
    assert names(Scan((str(tmp_path),)), tmp_path) == ["z.jpg", "own/f.jpg"]
    shown = names(Scan((str(tmp_path),), hidden=True), tmp_path)
    assert {".h/a.jpg", ".b.jpg"} <= set(shown) and "quiet/g.jpg" not in shown
    assert names(Scan((str(tmp_path),), skip=("own", "z*", "node*", "x.*", "@*")), tmp_path) == []


def test_snapshots_wastebaskets_and_caches_are_left_out(tmp_path: Path) -> None:
    library = "Photos Library.photoslibrary"
    touch(tmp_path, "@Recycle/a.jpg", "@Recently-Snapshot/a.jpg", "#snapshot/a.jpg")
    touch(tmp_path, "~snapshot/a.jpg", "x/CaptureOne/Cache/Thumbnails/a.jpg", "@__thumb/a.jpg")
    touch(tmp_path, f"{library}/resources/derivatives/a.jpg", f"{library}/scopes/cmm/a.jpg")
    touch(tmp_path, f"{library}/originals/0/keep.jpg", "old.photolibrary/Masters/keep.jpg")
    touch(
        tmp_path,
        "old.photolibrary/Thumbnails/a.jpg",
        "resources/keep.jpg",
        "c.cocatalog/Cache/a.jpg",
    )
    touch(tmp_path, ".thumbnails/a.jpg", ".dtrash/a.jpg", "x/CaptureOne/keep.jpg", ".own/keep.jpg")
    found = names(Scan((str(tmp_path),), hidden=True), tmp_path)
    assert len(found) == 5 and all(Path(name).name == "keep.jpg" for name in found)
    root = tmp_path / library
    assert names(Scan((str(root),)), root) == [os.path.join("originals", "0", "keep.jpg")]
    cache = root / "resources"  # named, so wanted
    assert len(names(Scan((str(cache),)), cache)) == 1


def test_a_named_folder_is_walked_whatever_mark_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, ".nomedia", "a.jpg", "in/.nomedia", "in/b.jpg")
    assert names(Scan((str(tmp_path),)), tmp_path) == ["a.jpg"]


def test_every_kind_that_opens_is_found_and_others_are_counted(tmp_path: Path) -> None:
    kinds = [
        "jfif",
        "jpe",
        "hif",
        "heif",
        "jp2",
        "j2k",
        "jpf",
        "mpo",
        "pgm",
        "pbm",
        "pnm",
        "ppm",
        "tga",
        "dib",
        "jpg",
    ]
    touch(tmp_path, *(f"a.{kind}" for kind in kinds))
    touch(tmp_path, "a.X3F", "b.x3f", "c.jxl", "d.MOV", "e.txt")
    scan = Scan((str(tmp_path),))
    assert len(names(scan, tmp_path)) == len(kinds)
    assert scan.others == 5 and scan.kinds == {".x3f": 2, ".jxl": 1, ".mov": 1}


def test_paths_and_globs_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "private/a.jpg", "private/in/b.jpg", "own/private/c.jpg", "d.jpg")

    def found(*skip: str) -> list[str]:
        scan = Scan((str(tmp_path),), skip=skip)
        seen = [Path(name).name for name in names(scan, tmp_path)]
        assert scan.matched == {one for one in skip if one != "none/*"}
        return seen

    assert found("private/*") == ["d.jpg", "c.jpg"]
    assert found("/private") == found(f"{tmp_path}/private") == ["d.jpg", "c.jpg"]
    assert found("private/", "none/*") == ["d.jpg"]
    assert found("**/in/*.jpg") == ["d.jpg", "c.jpg", "a.jpg"]
    assert found("private", "own/*") == ["d.jpg"]


@POSIX
def test_links_and_loops(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.jpg", "elsewhere/b.jpg")
    root = tmp_path / "real"
    (root / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "itself").symlink_to("itself")
    (root / "nowhere.jpg").symlink_to("none.jpg")
    found = names(Scan((str(root),)), root)
    assert found == ["a.jpg", "up/elsewhere/b.jpg"]


@POSIX
def test_a_link_to_a_photo_is_no_second_photo(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/b.jpg", "out/c.jpg", "far/d.jpg")
    touch(tmp_path, "one/.annex/e.jpg", "one/objects/f")
    one, two, out = (tmp_path / name for name in ("one", "two", "out"))
    targets = ["one/a.jpg", "two/b.jpg", "out/c.jpg", "far/d.jpg", "one/.annex/e.jpg"]
    for target in [*targets, "one/objects/f"]:
        (one / f"to {Path(target).stem}.jpg").symlink_to(tmp_path / target)
    known = {str(one): Rules(), str(two): Rules()}
    found = names(Scan((str(one),), known=known, excluded={str(out)}), one)
    assert found == ["a.jpg", "to d.jpg", "to e.jpg", "to f.jpg"]


@POSIX
def test_a_folder_that_links_to_its_sibling_is_found_under_its_own_name(tmp_path: Path) -> None:
    touch(tmp_path, "z/a.jpg")
    (tmp_path / "b").symlink_to("z")
    assert names(Scan((str(tmp_path),)), tmp_path) == ["z/a.jpg"]


def test_roots_inside_each_other_give_each_file_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "in/b.jpg")
    roots = as_roots([tmp_path / "in", tmp_path, tmp_path])
    assert sorted(names(Scan(roots), tmp_path)) == ["a.jpg", "in/b.jpg"]


@POSIX
def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names(Scan((str(tmp_path),)), tmp_path) == []


def test_an_unreadable_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "secret/b.jpg")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    scan = Scan((str(tmp_path),))
    assert names(scan, tmp_path) == ["a.jpg"]
    assert scan.unreadable == {str(tmp_path / "secret"): "Permission denied"}


@POSIX
def test_a_folder_that_can_be_listed_but_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with mode r--: names are told, nothing else; so nothing in it is gone."""
    touch(tmp_path, "a.jpg", "closed/b.jpg", "loose/c.jpg")
    (tmp_path / "loose" / "nowhere.jpg").symlink_to("none.jpg")
    (tmp_path / "loose" / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "loose" / "beyond.jpg").symlink_to("c.jpg/d")
    real = os.stat

    def stat(path: object, **more: object) -> os.stat_result:
        if "closed/" in str(path):
            raise OSError(5, "Input/output error")
        return real(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    scan = Scan((str(tmp_path),))
    assert names(scan, tmp_path) == ["a.jpg", "loose/c.jpg"]
    assert scan.unreadable == {str(tmp_path / "closed"): "Input/output error"}


@POSIX
def test_a_link_into_another_folder_of_the_album_is_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/in/b.jpg", "three/c.jpg")
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "link").symlink_to(two / "in")
    (one / "all").symlink_to(tmp_path)
    scan = Scan((str(one),), known={str(one): Rules(), str(two): Rules()})
    assert names(scan, one) == ["a.jpg", "all/three/c.jpg"]


@POSIX
def test_excluded_folders_are_not_entered_by_links_either(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "one/out/b.jpg", "one/out/deep/c.jpg", "far/d.jpg")
    one = tmp_path / "one"
    (one / "link").symlink_to(tmp_path / "far")
    out = {str(one / "out"), str(tmp_path / "far")}
    assert names(Scan((str(one),), excluded=out), one) == ["a.jpg"]
    deep = {str(one): Rules(), str(one / "out" / "deep"): Rules()}
    assert names(Scan((*deep,), known=deep, excluded=out), one) == ["a.jpg", "out/deep/c.jpg"]


@POSIX
def test_odd_names(tmp_path: Path) -> None:
    odd = [b"new\nline.jpg", "🐶 dog.jpg".encode(), b"latin \xe9.jpg", b"-rf.jpg", b"a'b\"c.jpg"]
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    found = {os.path.basename(found.path) for found in Scan((str(tmp_path),))}
    assert found == set(odd)


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    for bad, said in ((tmp_path / "a.jpg", "is a file"), (tmp_path / "no", "there is no folder")):
        with pytest.raises(OptionError, match=said):
            as_roots([bad])
    for blank in ("", " "):
        with pytest.raises(OptionError, match="is empty"):
            as_roots([blank])
    with pytest.raises(OptionError, match="can't be a folder"):
        as_roots(["a\0b"])


@POSIX
def test_below_holds_the_folder_and_not_its_neighbours() -> None:
    start, stop = below("/a/b")
    inside = [b"/a/b/c", b"/a/b/\xff\xff", b"/a/b/c/d"]
    assert all(start <= path < stop for path in inside)
    assert not any(start <= path < stop for path in (b"/a/b", b"/a/bc/d", b"/a/b.jpg", b"/a/a/x"))
    assert below("/") == (b"/", b"0")
