"""Copies with what one decides by."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from galago.album import Guide, Searcher, find_duplicates
from galago.errors import StorageError
from galago.server import copies as room
from tests.helpers.albums import POSIX, FakeEmbedder, photo, update
from tests.helpers.serving import Served, ask, serving
from tests.helpers.waiting import until


@contextmanager
def comparing(
    folder: Path, album: Path, find: Callable[..., Any] | None = None
) -> Iterator[Served]:
    def duplicates(threshold: float, alike: bool, report: Any) -> Any:
        return find_duplicates(album, threshold, report, alike=alike)

    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        given = {"duplicates": find or duplicates}
        with serving(folder, lambda: guide, parts=given) as served:
            yield served


def compared(served: Served, **fields: Any) -> Any:
    assert ask(f"{served.url}/api/duplicates", fields).status == 200
    assert until(lambda: not state(served)["running"])
    return state(served)


def state(served: Served, **query: int) -> Any:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return ask(f"{served.url}/api/duplicates?{asked}").json


def picture(path: Path, side: int, day: str = "", age: float = 100) -> Path:
    """A gradient, which is the same at every size."""
    exif = Image.Exif()
    if day:
        exif[ExifTags.Base.Orientation] = 1  # Pillow writes no EXIF that is empty at the top
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = day
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").convert("RGB").resize((side, side)).save(path, "PNG", exif=exif)
    then = 1_700_000_000 - age
    os.utime(path, (then, then))
    return path


def test_sizes_dates_and_which_is_largest_and_oldest(
    folder: Path, album: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    picture(photos / "large.png", 128, "2024:05:31 18:20:05")
    small = picture(photos / "small.png", 64)
    shutil.copy2(small, photos / "small again.png")
    update(album, photos)
    with comparing(folder, album) as served:
        assert state(served)["found"] is False
        found = compared(served, threshold=0.5, alike=True)
        assert (found["count"], found["photos"], found["found"]) == (1, 3, True)
        (group,) = found["groups"]
        told = {one["name"]: one for one in group["photos"]}
        large, again = told["large.png"], told["small again.png"]
        assert (large["width"], large["height"], large["most"]) == (128, 128, True)
        assert (large["time"], large["by_camera"]) == ("2024-05-31 18:20:05", True)
        assert large["oldest"] is False and large["folder"] == str(photos)
        assert (again["width"], again["most"], again["by_camera"]) == (64, False, False)
        assert again["bytes"] == small.stat().st_size and again["time"].startswith("2023-11-1")
        assert sum(one["oldest"] for one in group["photos"]) == 1
        assert ask(f"{served.url}/api/photo/{large['id']}?side=64").status == 200
        # Deleted by whatever the person deletes with.
        (photos / "large.png").unlink()
        small.write_bytes(b"another file by now")
        now = {one["name"]: one for one in state(served)["groups"][0]["photos"]}
        assert now["large.png"]["gone"] and now["small.png"]["gone"]
        assert now["small again.png"]["most"] and not now["small again.png"]["gone"]


def test_a_part_at_a_time(
    folder: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_SHOWN", 2)
    for seed in range(3):
        first = photo(tmp_path / "photos" / f"{seed}.png", "red", seed)
        for number in range(seed + 1):
            shutil.copy2(first, first.with_name(f"{seed} {number}.png"))
    update(album, tmp_path / "photos")
    with comparing(folder, album) as served:
        found = compared(served, threshold=1)
        assert [len(one["photos"]) for one in found["groups"]] == [2, 2, 2]
        assert [one["more"] for one in found["groups"]] == [2, 1, 0]
        part = state(served, first=1, count=1)
        assert part["groups"] == found["groups"][1:2]
        assert (part["first"], part["count"], part["photos"]) == (1, 3, 9)
        assert state(served, first=99)["groups"] == []
        for wrong in ({"first": -1}, {"count": 101}):
            assert ask(f"{served.url}/api/duplicates?{next(iter(wrong))}=-1").status == 400
        for wrong_body in ({"threshold": 0.2}, {"threshold": 2}, {"least": 1}):
            assert ask(f"{served.url}/api/duplicates", wrong_body).status == 400


@POSIX
def test_paths_that_are_no_text_are_exact(folder: Path, album: Path, tmp_path: Path) -> None:
    first = photo(tmp_path / "photos" / "a.png")
    odd = os.fsencode(tmp_path) + b"/photos/caf\xe9\n.png"
    shutil.copy2(first, odd)
    update(album, tmp_path / "photos")
    with comparing(folder, album) as served:
        (group,) = compared(served)["groups"]
        assert odd in [os.fsencode(one["path"]) for one in group["photos"]]


def test_one_search_at_a_time_which_may_be_stopped(folder: Path, album: Path, photos: Path) -> None:
    update(album, photos)

    def find(threshold: float, alike: bool, report: Callable[[float], None]) -> Any:
        while True:
            report(0.25)

    with comparing(folder, album, find) as served:
        assert ask(f"{served.url}/api/duplicates", {}).status == 200
        assert until(lambda: state(served)["share"] == 0.25)
        assert ask(f"{served.url}/api/duplicates", {}).status == 409
        assert ask(f"{served.url}/api/duplicates", None, "DELETE").status == 200
        assert until(lambda: not state(served)["running"])
        last = state(served)
        assert last["stopped"] and not last["found"] and last["problem"] is None


def test_what_goes_wrong_is_told(folder: Path, album: Path, photos: Path) -> None:
    update(album, photos)

    def find(*_: Any) -> Any:
        raise StorageError("album is damaged: delete it and index again")

    with comparing(folder, album, find) as served:
        assert "damaged" in compared(served)["problem"]
    with serving(folder, parts={"duplicates": find}) as served:
        reply = ask(f"{served.url}/api/duplicates", {})
        assert reply.status == 404 and reply.json["error"]["code"] == "no_album"
