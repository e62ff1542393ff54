"""Where pictures come from: files and pipes, and nothing that never ends or never begins."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from galago.errors import ImageError
from galago.media import sources
from galago.media.images import open_image
from tests.helpers.pictures import photo, saved

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom", "/dev/tty"])
def test_devices_are_no_pictures(device: str) -> None:
    if not os.path.exists(device):
        pytest.skip("not here")
    with pytest.raises(ImageError, match="is a device or a socket"):
        open_image(device)


def test_a_socket_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s")
        with pytest.raises(ImageError, match="is a device or a socket"):
            open_image("s")


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PATIENCE", 0.05)
    os.mkfifo(tmp_path / "p.jpg")
    with pytest.raises(ImageError, match="is a pipe that nobody writes to"):
        open_image(tmp_path / "p.jpg")


def test_a_writer_may_take_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PATIENCE", 0.5)
    pipe, data = tmp_path / "p", saved(photo(800, 600), "PNG")
    os.mkfifo(pipe)

    def write() -> None:
        time.sleep(0.05)
        with pipe.open("wb", buffering=0) as out:
            for start in range(0, len(data), len(data) // 3 + 1):
                time.sleep(0.3)
                out.write(data[start : start + len(data) // 3 + 1])

    writer = threading.Thread(target=write)
    writer.start()
    assert open_image(pipe).tobytes() == photo(800, 600).tobytes()
    writer.join()


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="no /dev/fd here")
def test_process_substitution() -> None:
    reading, writing = os.pipe()
    data = saved(photo(), "PNG")
    writer = threading.Thread(target=lambda: (os.write(writing, data), os.close(writing)))
    writer.start()
    assert open_image(f"/dev/fd/{reading}").size == (120, 80)
    writer.join()
    os.close(reading)


def test_a_pipe_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST", 10_000)
    pipe = tmp_path / "p"
    os.mkfifo(pipe)

    def write() -> None:
        try:
            pipe.write_bytes(bytes(200_000))
        except BrokenPipeError:
            return

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(ImageError, match="more than a picture's bytes"):
        open_image(pipe)
    writer.join()


def test_a_writer_who_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And who neither goes on nor lets go."""
    monkeypatch.setattr(sources, "_SILENCE", 0.05)
    pipe, heard = tmp_path / "p", threading.Event()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as out:
            out.write(b"\x89PNG")
            heard.wait(5)

    writer = threading.Thread(target=write)
    writer.start()
    began = time.monotonic()
    try:
        with pytest.raises(ImageError, match="whose writer has been silent"):
            open_image(pipe)
        assert time.monotonic() - began < 30
    finally:
        heard.set()
        writer.join()


@pytest.mark.parametrize("opened", [open_image, lambda path: sources.told_apart(path, None)])
def test_a_name_that_no_file_has(opened: Callable[[str], object]) -> None:
    """Half a character, which no file system takes; it's shown so that it can be printed."""
    with pytest.raises(ImageError, match=r"\\ud800.* can't be read: ") as caught:
        opened("half\ud800.png")
    assert str(caught.value).isascii()


@pytest.mark.parametrize("opened", [open_image, lambda path: sources.told_apart(path, None)])
def test_a_working_folder_that_is_gone(
    opened: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ImageError, match=r"x\.png can't be read: .*folder"):
        opened("x.png")
