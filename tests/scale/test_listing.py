"""IN, picture by picture."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.scale.items import File, Item, Stretch, Web
from galago.scale.listing import Listing
from tests.helpers.albums import POSIX, photo


def names(listing: Listing, folder: Path) -> list[str]:
    """What pictures are called from the folder on."""
    before = os.fsencode(folder) + os.fsencode(os.sep)
    return [os.fsdecode(item.name.removeprefix(before)) for item in listing]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/2.PNG", "b.png"):
        photo(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"x")
    return tmp_path / "in"


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_folder_gives_its_pictures_in_one_order(folder: Path) -> None:
    listing = Listing(str(folder))
    assert names(listing, folder) == ["b.png", "a/1.png", "a/2.PNG"]
    assert names(listing, folder) == names(Listing(str(folder)), folder)
    first = next(iter(listing))
    about = os.stat(folder / "b.png")
    assert (first.size, first.modified) == (about.st_size, about.st_mtime_ns // 1000)
    assert first.place == File(str(folder / "b.png"))


def test_a_single_picture(folder: Path) -> None:
    (item,) = Listing(str(folder / "b.png"))
    assert item.name == os.fsencode(folder / "b.png") and item.place.read()


@POSIX
@pytest.mark.skipif(sys.platform == "darwin", reason="names there are text")
def test_names_that_are_no_text(folder: Path) -> None:
    odd = os.fsencode(folder) + b"/n\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(b"x")
    found = {item.name: item for item in Listing(str(folder))}
    assert found[odd].place.read() == b"x"


def test_the_table_that_is_written_is_none_of_it(folder: Path) -> None:
    photo(folder / "out.lance" / "data" / "3.png")
    assert len(names(Listing(str(folder)), folder)) == 4
    out = str(folder / "out.lance")
    assert names(Listing(str(folder), out=out), folder) == ["b.png", "a/1.png", "a/2.PNG"]


def test_a_tar_gives_its_members(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "0.tar", {"x/1.jpg": b"one", "x/1.txt": b"a cup", "2.PNG": b"two!"})
    listing = Listing(str(path))
    first, second = listing
    assert first.name == os.fsencode(path) + b"#x/1.jpg" and second.name.endswith(b"#2.PNG")
    assert isinstance(first.place, Stretch) and first.place.read() == b"one"
    assert second.place.read() == b"two!" and second.size == 4
    assert first.modified == 1_700_000_000_000_000
    assert listing.left == {".txt": 1}


@pytest.mark.parametrize("time", ["nan", "inf", "1e30", "-1e30"])
def test_a_member_of_no_time(tmp_path: Path, time: str) -> None:
    with tarfile.open(tmp_path / "0.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("1.jpg")
        info.size, info.pax_headers = 3, {"mtime": time}
        tar.addfile(info, io.BytesIO(b"one"))
    (item,) = Listing(str(tmp_path / "0.tar"))
    assert item.modified is None and item.place.read() == b"one"


def test_tars_among_pictures(folder: Path) -> None:
    tar_of(folder / "a" / "more.tar", {"1.jpg": b"one"})
    assert names(Listing(str(folder)), folder) == [
        *("b.png", "a/1.png", "a/2.PNG", "a/more.tar#1.jpg")
    ]


def test_a_damaged_tar_among_others_is_told_and_alone_refused(folder: Path) -> None:
    whole = tar_of(folder / "more.tar", {"1.jpg": b"one", "2.jpg": bytes(2000)}).read_bytes()
    (folder / "more.tar").write_bytes(whole[:2000])
    listing = Listing(str(folder))
    assert len(names(listing, folder)) == 4  # what stands before the cut is read
    ((path, reason),) = listing.unreadable.items()
    assert path == str(folder / "more.tar") and "ends in the middle of 2.jpg" in reason
    with pytest.raises(OptionError, match="ends in the middle"):
        list(Listing(str(folder / "more.tar")))


def test_a_list_of_paths_and_addresses(folder: Path, tmp_path: Path) -> None:
    lines = ["b.png", str(folder / "a" / "1.png"), "", "https://x.org/é.jpg", "gone.png"]
    (tmp_path / "in" / "list.txt").write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    found: list[Item] = list(Listing(str(folder / "list.txt")))
    assert found[0].name == os.fsencode(folder / "b.png") and found[0].size
    assert found[1].place == File(str(folder / "a" / "1.png"))
    assert found[2].name == "https://x.org/é.jpg".encode()
    assert found[2].place == Web("https://x.org/é.jpg")
    assert found[3].size is None  # a picture all the same, which its row will tell
    assert len(found) == 4


@pytest.mark.parametrize("address", ["https://x.org/a.jpg", "s3://bucket/a.jpg"])
def test_offline_an_address_of_a_list_is_refused(folder: Path, address: str) -> None:
    (folder / "list.txt").write_text(f"b.png\n{address}\n")
    listing = iter(Listing(str(folder / "list.txt"), offline=True))
    assert next(listing).place == File(str(folder / "b.png"))
    with pytest.raises(OptionError, match=f"{address} is elsewhere and --offline contacts nobody"):
        next(listing)


def test_a_bad_line_of_a_list_is_a_picture_that_cant_be_read(folder: Path) -> None:
    lines = "s3:///x.jpg\nb.png\n~\0/a.png\n"
    (folder / "list.txt").write_text(lines)
    bad, good, odd = Listing(str(folder / "list.txt"))
    assert bad.name == b"s3:///x.jpg" and good.place.read()
    with pytest.raises(OptionError, match="names no bucket"):
        bad.place.read()
    with pytest.raises(ValueError, match="null"):
        odd.place.read()


def test_one_file_of_a_list_has_one_name(folder: Path) -> None:
    (folder / "list.txt").write_text("b.png\n./b.png\na/../b.png\na//1.png\n")
    listing = Listing(str(folder / "list.txt"))
    # What a/.. is depends on whether a is a link.
    assert names(listing, folder) == ["b.png", "b.png", "a/../b.png", "a/1.png"]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (" ", "the name of IN is empty"),
        ("nowhere", "no such file or folder: "),
        ("https://x.org/a.jpg", "write addresses of the web into a .txt"),
        ("s3://", "names no bucket"),
        ("shards.tar.gz", "is compressed: unpack it first"),
        ("model.bin", "is neither a picture nor a .tar, a .parquet or a .txt"),
    ],
)
def test_what_cant_be_listed(
    place: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards.tar.gz").write_bytes(b"x")
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(OptionError, match=told):
        list(Listing(place))


def test_a_file_that_is_no_tar(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(OptionError, match="is no tar, a compressed or a damaged one"):
        list(Listing(str(tmp_path / "a.tar")))


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cant_be_looked_into_is_told(folder: Path) -> None:
    (folder / "a").chmod(0)
    listing = Listing(str(folder))
    try:
        assert names(listing, folder) == ["b.png"]
    finally:
        (folder / "a").chmod(0o755)
    assert list(listing.unreadable) == [str(folder / "a")]
