"""Frames with times from what goes on now: a camera or the screen.  The newest only, no queue."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from galago.errors import VideoError
from galago.media.frames import Frame, av_errors, import_av

__all__ = ["Camera", "Screen"]

_PATIENCE = 10.0  # seconds a camera may take for a frame
_DEVICES = "/dev/video"


class Camera:
    """A camera by number (0 is the first) or by the system's name for it, through PyAV.

    Linux: v4l2, "0" is /dev/video0; macOS: avfoundation; Windows: dshow.  A thread reads all
    frames and keeps the newest.  Use it as a context manager.
    """

    duration = None

    def __init__(self, device: str = "0") -> None:
        """Raises VideoError: no such camera, in use, not allowed; and MissingExtraError."""
        av = import_av("a camera gives video")
        self.name = f"camera {device}"
        file, kind, options = _device(device, av)
        refused: tuple[type[Exception], ...] = (*av_errors(), IndexError)
        try:
            self._container = av.open(file, format=kind, options=options)
            self._stream = self._container.streams.video[0]
        except refused as error:
            raise VideoError(_why_not(self.name, error)) from error
        self._changed = threading.Condition()
        self._newest: tuple[float, Any] | None = None
        self._failure: Exception | None = None
        self._ended = self._closing = False
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        # The thread closes the device: doing so under its feet would be a crash, not an error.
        self._thread.join(timeout=2)

    def frames(self, every: float = 0.0) -> Iterator[Frame]:
        """The newest frame, again and again, at least `every` seconds after the one before.

        Raises VideoError when the camera goes away or gives nothing for ten seconds.
        """
        started: float | None = None
        due = 0.0
        while True:
            _sleep_until(due)
            taken = self._after(due)
            if taken is None:
                return
            now, picture = taken
            started = now if started is None else started
            due = now + every
            yield Frame(now - started, picture)

    def _after(self, due: float) -> tuple[float, Any] | None:
        """The newest frame when it was taken after `due`, else the next; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._is_after(due), _PATIENCE)
            if self._is_after(due):
                return self._newest
            if self._failure is not None:
                raise VideoError(f"{self.name} has stopped: {self._failure}") from self._failure
            if not self._ended:
                raise VideoError(f"{self.name} gives no pictures; is another program using it?")
            return None

    def _is_after(self, due: float) -> bool:
        return self._newest is not None and self._newest[0] > due

    def _read(self) -> None:
        try:
            for packet in self._packets():
                try:
                    pictures = packet.decode()
                except av_errors():  # damaged, as the first of a camera often is
                    continue
                for picture in pictures:
                    with self._changed:
                        self._newest = (time.monotonic(), picture)
                        self._changed.notify_all()
        except Exception as error:
            self._failure = error
        finally:
            self._container.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _packets(self) -> Iterator[Any]:
        while not self._closing:
            try:
                for packet in self._container.demux(self._stream):
                    yield packet
                    if self._closing:
                        break
                return
            except BlockingIOError:  # avfoundation doesn't wait for its next picture
                time.sleep(0.005)


class Screen:
    """The screen, through Pillow: each frame is taken when it is asked for.

    On Linux that is X11; under Wayland Pillow needs gnome-screenshot, grim or spectacle.
    """

    duration = None
    name = "the screen"

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def frames(self, every: float = 0.0) -> Iterator[Frame]:
        """The screen every so many seconds.  Raises VideoError when it can't be taken."""
        from PIL import ImageGrab

        started = time.monotonic()
        due = 0.0
        while True:
            _sleep_until(due)
            now = time.monotonic()
            due = now + every
            try:
                picture = ImageGrab.grab().convert("RGB")
            except Exception as error:  # no display, no permission, no tool: as many kinds
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise VideoError(f"the screen can't be seen: {reason}") from error
            yield Frame(now - started, picture)


def _sleep_until(due: float) -> None:
    time.sleep(max(0.0, due - time.monotonic()))


def _device(device: str, av: Any) -> tuple[str, str, dict[str, str]]:
    """What FFmpeg opens for a camera: file, format, options."""
    if sys.platform == "darwin":
        # Cameras there refuse FFmpeg's default of 29.97.
        return device, "avfoundation", {"framerate": "30"}
    if sys.platform == "win32":
        return f"video={_windows_name(device, av)}", "dshow", {}
    path = f"{_DEVICES}{device}" if device.isdecimal() else device
    if not os.path.exists(path):
        here = _cameras()
        hint = f"cameras here: {' '.join(here)}" if here else "no camera is connected"
        raise VideoError(f"there is no camera {device} ({path}); {hint}")
    return path, "v4l2", {}


def _cameras() -> list[str]:
    folder, start = os.path.split(_DEVICES)
    return sorted(f"{folder}/{one}" for one in os.listdir(folder) if one.startswith(start))


def _windows_name(device: str, av: Any) -> str:
    """dshow knows cameras by name only."""
    if not device.isdecimal():
        return device
    try:
        found = [d for d in av.enumerate_input_devices("dshow") if "video" in d.media_types]
    except (AttributeError, OSError, ValueError):  # an older PyAV can't list them
        raise VideoError(
            f"camera {device} can't be found by number here; give its name, as in "
            '--camera "Integrated Camera"'
        ) from None
    if int(device) >= len(found):
        names = ", ".join(str(d.description) for d in found) or "none"
        raise VideoError(f"there is no camera {device}; cameras here: {names}")
    return str(found[int(device)].name)


def _why_not(name: str, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{name} can't be opened: {reason}; is it connected, allowed, and not in use?"
