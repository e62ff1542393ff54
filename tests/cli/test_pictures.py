"""Pictures named on the command line: which they are, and many at work at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from galago.cli import pictures as room
from galago.cli.pictures import Picture, expand, for_each, natural
from galago.cli.terminal import Bar
from galago.errors import ImageError


def test_natural_order() -> None:
    assert sorted(["a10", "a9", "A1", "b", "7"], key=natural) == ["7", "A1", "a9", "a10", "b"]


def test_folders_and_globs(pages: Path) -> None:
    names = [Path(p.label).name for p in expand([str(pages)])]
    assert names == ["page1.jpg", "page2.JPG", "page10.jpg"]
    deep = [Path(p.label).name for p in expand([str(pages)], recursive=True)]
    assert deep == ["page3.jpg", *names]
    assert [Path(p.label).name for p in expand([f"{pages}/page1*.jpg"])] == [
        "page1.jpg",
        "page10.jpg",
    ]
    assert len(expand([str(pages), f"{pages}/page1.jpg", str(pages)])) == 3
    for nothing in (str(pages / "*.png"), str(pages / "nowhere*")):
        with pytest.raises(ImageError, match="no picture matches"):
            expand([nothing])


def test_many_pictures_are_made_ready_a_few_at_once_and_told_in_order() -> None:
    pictures = [Picture(f"{n}.jpg", b"") for n in range(12)]
    here = threading.Barrier(4)
    begun: list[str] = []
    told: list[str] = []

    def ready(_: None, picture: Picture, stop: threading.Event) -> str:
        begun.append(picture.label)
        here.wait(30)  # four are at work at once, or this breaks
        return picture.label.upper()

    def work(_: None, picture: Picture, bar: Bar) -> None:
        assert len(begun) <= len(told) + 5
        told.append(picture.source)

    assert for_each(pictures, lambda _: None, work, as_json=False, ready=ready) == 0
    assert told == [f"{n}.JPG" for n in range(12)]


def test_what_is_made_ready_ends_when_the_work_is_broken_off() -> None:
    pictures = [Picture(f"{n}.jpg", b"") for n in range(40)]
    begun: list[str] = []

    def ready(_: None, picture: Picture, stop: threading.Event) -> None:
        begun.append(picture.label)
        if picture.label != "0.jpg":
            assert stop.wait(30)

    def work(_: None, picture: Picture, bar: Bar) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each(pictures, lambda _: None, work, as_json=False, ready=ready)
    assert len(begun) <= 5


def test_a_second_interrupt_while_threads_end_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = [Picture(f"{n}.jpg", b"") for n in range(3)]
    ignored: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", ignored.append)

    class Interrupted(ThreadPoolExecutor):
        def __exit__(self, *error: Any) -> None:
            super().__exit__(*error)
            raise KeyboardInterrupt

    monkeypatch.setattr("galago.cli.pictures.ThreadPoolExecutor", Interrupted)

    def work(_: None, picture: Picture, bar: Bar) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each(pictures, lambda _: None, work, as_json=False, ready=lambda *_: None)
    assert not ignored


def test_standard_input_may_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

    monkeypatch.setattr(room, "_MOST", 1000)
    monkeypatch.setattr("sys.stdin", type("", (), {"buffer": Endless()}))
    with pytest.raises(ImageError, match="more than a picture's bytes"):
        expand(["-"])
