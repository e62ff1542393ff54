"""A camera and the screen: the newest picture, and clear words when there is none."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import pytest
from PIL import Image, ImageGrab

from galago.errors import MissingExtraError, VideoError
from galago.media import camera as room
from galago.media.camera import Camera, Screen, _device
from tests.helpers.waiting import until


def fake(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """FFmpeg's test source in a camera's place, at a camera's pace."""
    pytest.importorskip("av", reason="the extra `video` is not installed")
    monkeypatch.setattr(room, "_device", lambda device, av: (source, "lavfi", {}))


def test_a_slow_reader_gets_the_newest_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "testsrc=size=64x48:rate=50,realtime")
    with Camera() as camera:
        at, numbers = [], []
        for frame in islice(camera.frames(), 4):
            at.append(frame.at)
            numbers.append(frame._picture.pts)
            assert until(lambda: _newest(camera) > numbers[-1] + 9)  # ten pictures go by
    assert at[0] == 0
    assert all(later - earlier > 1 for earlier, later in pairwise(numbers))
    assert all(later - earlier > 0.1 for earlier, later in pairwise(at))
    assert not camera._thread.is_alive()


def _newest(camera: Camera) -> int:
    assert camera._newest is not None
    return int(camera._newest[1].pts)


def test_pictures_come_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "testsrc=size=64x48:rate=50,realtime")
    with Camera() as camera:
        at = [frame.at for frame in islice(camera.frames(0.1), 4)]
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(at))


def test_a_camera_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "testsrc=size=64x48:rate=50:duration=0.2,realtime")
    with Camera() as camera:
        assert 1 <= len(list(camera.frames())) <= 10


def test_a_camera_that_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "testsrc=size=64x48:rate=0.01,realtime")
    monkeypatch.setattr(room, "_PATIENCE", 0.1)
    over = threading.Event()
    monkeypatch.setattr(Camera, "_read", lambda self: over.wait(30))
    with Camera() as camera:
        with pytest.raises(VideoError, match="gives no pictures"):
            next(camera.frames())
        over.set()
    camera._container.close()


class Hesitant:
    """A container that has nothing ready at every second look, as avfoundation, and bad packets."""

    def __init__(self, container: Any) -> None:
        self._container, self.close = container, container.close
        self.looks = 0

    def demux(self, stream: object) -> Iterator[Any]:
        self.looks += 1
        if self.looks % 2:
            raise BlockingIOError(35, "Resource temporarily unavailable")
        yield Damaged()
        yield from islice(self._container.demux(stream), 2)
        raise BlockingIOError(35, "Resource temporarily unavailable")


class Damaged:
    def decode(self) -> None:
        raise ValueError("Invalid data found when processing input")


def open_as(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    opened = av.open

    class Container(kind):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            container = opened(*arguments, **options)
            self.streams = container.streams
            super().__init__(container)

    monkeypatch.setattr(av, "open", Container)


def test_a_camera_that_has_nothing_ready_and_damaged_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(monkeypatch, "testsrc=size=64x48:rate=50,realtime")
    open_as(monkeypatch, Hesitant)
    with Camera() as camera:
        assert len(list(islice(camera.frames(), 10))) == 10
        assert camera._container.looks > 8
    assert not camera._thread.is_alive()


def test_a_camera_that_never_has_anything_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    class Never(Hesitant):
        def demux(self, stream: object) -> Iterator[Any]:
            raise BlockingIOError(35, "Resource temporarily unavailable")

    fake(monkeypatch, "testsrc=size=64x48:rate=50,realtime")
    open_as(monkeypatch, Never)
    monkeypatch.setattr(room, "_PATIENCE", 0.1)
    with Camera() as camera, pytest.raises(VideoError, match="gives no pictures"):
        next(camera.frames())
    assert not camera._thread.is_alive()


def test_a_camera_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "testsrc=size=64x48:rate=50,realtime")

    class Pulled:
        def demux(self, stream: object) -> Any:
            raise OSError("No such device")

        def close(self) -> None:
            return

    camera = Camera()
    with camera:
        next(camera.frames())
    again = Camera.__new__(Camera)
    again.__dict__.update(camera.__dict__, _container=Pulled(), _newest=None, _closing=False)
    again._read()
    with pytest.raises(VideoError, match="has stopped: No such device"):
        next(again.frames())


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are found otherwise elsewhere")
def test_no_such_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av", reason="the extra `video` is not installed")
    with pytest.raises(VideoError, match="there is no camera 97"):
        Camera("97")
    with pytest.raises(VideoError, match="can't be opened"):
        Camera("/dev/null")


def test_no_error_of_ffmpeg_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    fake(monkeypatch, "testsrc")

    def busy(*_: object, **__: object) -> None:
        raise av.error.ExternalError(1, "busy")  # neither OSError nor ValueError

    monkeypatch.setattr(av, "open", busy)
    with pytest.raises(VideoError, match="can't be opened: busy"):
        Camera()


@pytest.mark.parametrize(
    ("system", "file", "kind"),
    [("darwin", "1", "avfoundation"), ("win32", "video=USB Camera", "dshow")],
)
def test_other_systems(monkeypatch: pytest.MonkeyPatch, system: str, file: str, kind: str) -> None:
    class Device:
        def __init__(self, name: str, kinds: list[str]) -> None:
            self.name = self.description = name
            self.media_types = kinds

    class Av:
        @staticmethod
        def enumerate_input_devices(kind: str) -> list[Device]:
            return [
                Device("Built-in", ["video"]),
                Device("Microphone", ["audio"]),
                Device("USB Camera", ["video"]),
            ]

    monkeypatch.setattr(sys, "platform", system)
    assert _device("1", Av)[:2] == (file, kind)
    if system == "win32":
        assert _device("USB Camera", object())[0] == file
        with pytest.raises(VideoError, match="cameras here: Built-in, USB Camera"):
            _device("2", Av)
        with pytest.raises(VideoError, match="by number"):
            _device("0", object())


def test_a_camera_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match="to install the extra video: "):
        Camera()


def test_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageGrab, "grab", lambda: Image.new("RGBA", (40, 30), "red"))
    with Screen() as screen:
        first, second = islice(screen.frames(0.05), 2)
    assert first.image().getpixel((0, 0)) == (255, 0, 0)
    assert first.at < 0.05 <= second.at


def test_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise OSError("X connection failed:\nerror 1")

    monkeypatch.setattr(ImageGrab, "grab", none)
    with Screen() as screen, pytest.raises(VideoError, match="can't be seen: X connection failed"):
        next(screen.frames())
