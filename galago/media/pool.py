"""Strangers' pictures, opened in processes that can be stopped.

A picture may be made to take minutes, gigabytes, or the process that decodes it.  Whoever opens
pictures of others, or many, opens them here: each in a worker process (`galago.media.worker`) with
a limit on time and on memory, which is ended and replaced when a picture goes beyond.  What comes
back is small: the square of pixels that a model looks at, or a thumbnail.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.errors import GalagoError, ImageError, OptionError, UnopenedError
from galago.media import images
from galago.media.about import About
from galago.media.exif import date_in
from galago.media.formats import PluginError
from galago.media.images import Source, Square
from galago.media.limits import MAX_PIXELS, icc_wanted, limit
from galago.media.sources import told_apart
from galago.media.stills import MOST, Still
from galago.media.video import VIDEO_SUFFIXES
from galago.media.worker import receive, send
from galago.specs import ImageSpec

__all__ = ["PicturePool"]

_PATIENCE = 4  # times the seconds of the processor: others may be at work, and disks are slow
_SECONDS, _MEMORY = 10.0, 3 << 29
_OF_VIDEO = 6  # times the seconds of a picture
_LAST = 5.0  # seconds for a process to end that has nothing more to say
_MAX_THUMBNAIL = 64 << 20
# The paths of this process, as it may have been told more than its environment says.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from galago.media.worker import serve; serve(float(sys.argv[2]), int(sys.argv[3]))"
)


class PicturePool:
    """A few processes that open pictures for this one; safe to use from several threads.

    A context manager.  As many pictures are opened at once as there are workers; whoever comes
    after waits.  A worker is started when it is first needed (0.2 s).
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        """`workers`: as many as processors, at most 8.  A picture may take `seconds` of a processor
        (four times that on the clock) and `memory` bytes (on Linux): 10 and 1.5 GB, or as much more
        as GALAGO_MAX_MEGAPIXELS lets pictures be larger.

        Raises OptionError for less than one worker, and for a limit that is no number.
        """
        scale = max(1.0, limit() / MAX_PIXELS)
        seconds = _SECONDS * scale if seconds is None else seconds
        memory = int(_MEMORY * scale) if memory is None else memory
        workers = min(8, os.cpu_count() or 1) if workers is None else workers
        if workers < 1 or seconds <= 0 or memory < 1:
            raise OptionError("a pool of pictures needs a worker, time and memory")
        self._workers, self._seconds, self._memory = workers, seconds, memory
        self._closed = False
        self._begin()
        if hasattr(os, "register_at_fork"):  # a child would read the answers of its parent
            begin = weakref.WeakMethod(self._begin)
            os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def _begin(self) -> None:
        """Without workers, as a process is that was forked, whose locks may be held by nobody."""
        self._free = threading.Semaphore(self._workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    def load_square(
        self,
        source: Source,
        spec: ImageSpec,
        *,
        name: str | None = None,
        draft: int = images.DRAFT,
        by_content: bool = False,
        icc: bool | None = None,
        page: int | None = None,
        count_pages: bool = False,
    ) -> Square:
        """As `images.load_square`, which opens in this process what is decoded already.

        Raises ImageError, for what takes too long or too much too; UnopenedError, one of them, for
        what may be read another time.
        """
        how: dict[str, Any] = {
            "draft": draft,
            "by_content": by_content,
            "icc": icc_wanted(icc),
            "page": page,
            "count_pages": count_pages,
        }
        if isinstance(source, (Image.Image, np.ndarray)):
            return images.load_square(source, spec, name=name, **how)
        head = {"do": "square", "spec": asdict(spec), "how": how}
        found, data, label = self._ask(source, name, head, 3 * spec.side**2)
        try:
            (width, height), side = found["size"], found["side"]
            pixels = np.frombuffer(data, np.uint8).reshape(side, side, 3)
            pages = int(found["page"]), int(found["pages"])
            return Square(pixels, (int(width), int(height)), *pages, date_in(found["taken"]))
        except (KeyError, TypeError, ValueError):
            raise _broken(label) from None

    def thumbnail(
        self,
        source: Source,
        side: int,
        *,
        name: str | None = None,
        icc: bool | None = None,
        second: float | None = None,
    ) -> bytes:
        """As `images.thumbnail`, of a video's path too: its picture from about this second, or the
        first of its stills.  Raises as `load_square` does."""
        if isinstance(source, (Image.Image, np.ndarray)):
            return images.thumbnail(source, side, name=name, icc=icc)
        head = {"do": "thumbnail", "side": side, "how": {"icc": icc_wanted(icc)}}
        if isinstance(source, (str, os.PathLike)) and Path(source).suffix.lower() in VIDEO_SUFFIXES:
            head |= {"second": second, "patience": _OF_VIDEO}
        return self._ask(source, name, head, _MAX_THUMBNAIL)[1]

    def stills(self, path: str, side: int, most: int = MOST) -> list[Still]:
        """As galago.media.stills.stills; a video may take six times as long as a picture.

        Raises as `load_square` does.
        """
        head = {"do": "stills", "side": side, "most": most, "patience": _OF_VIDEO}
        found, data, label = self._ask(path, None, head, 3 * most * side**2)
        try:
            return list(_cut(found["stills"], data, most))
        except (KeyError, TypeError, ValueError):
            raise _broken(label) from None

    def load_grey(
        self, source: Source, side: int, *, name: str | None = None
    ) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """As `images.load_grey`; raises as `load_square` does."""
        if isinstance(source, (Image.Image, np.ndarray)):
            return images.load_grey(source, side, name=name)
        found, data, label = self._ask(source, name, {"do": "grey", "side": side}, side**2)
        try:
            width, height = found["size"]
            return np.frombuffer(data, np.uint8).reshape(side, side), (int(width), int(height))
        except (KeyError, TypeError, ValueError):
            raise _broken(label) from None

    def date_taken(self, source: Source, *, name: str | None = None) -> str:
        """As `images.date_taken`; raises as `load_square` does."""
        if isinstance(source, (Image.Image, np.ndarray)):
            return images.date_taken(source, name=name)
        return date_in(self._ask(source, name, {"do": "taken"}, 0)[0].get("taken"))

    def about(self, source: Source, *, name: str | None = None) -> About:
        """As `media.about.about`, of a path, bytes or a file; raises as `load_square` does."""
        found, _, label = self._ask(source, name, {"do": "about"}, 0)
        try:
            width, height = found["size"]
            return About((int(width), int(height)), str(found["taken"])[:19])
        except (KeyError, TypeError, ValueError):
            raise _broken(label) from None

    def warm(self) -> PicturePool:
        """Start the workers before there is anything to open; itself."""
        with self._lock:
            while len(self._all) < self._workers and not self._closed:
                self._idle.append(self._start())
        return self

    def close(self) -> None:
        """End the workers; pictures that they are opening raise UnopenedError, as do later ones."""
        with self._lock:
            self._closed = True
            for worker in self._all:
                worker.kill()
            idle, self._idle = self._idle, []
        for worker in idle:  # whoever asks one of the others waits for it
            self._give_back(worker, well=False)

    def __enter__(self) -> PicturePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, source: Any, name: str | None, head: dict[str, Any], most: int
    ) -> tuple[dict[str, Any], bytes, str]:
        """A worker's answer: its head, its body of at most so many bytes, the picture's label."""
        label, place, data = told_apart(source, name)
        if place is None and not data:
            raise ImageError(f"{label} is empty (0 bytes)")
        head |= {"name": label, "path": place is not None}
        body = data if place is None else _whole_path(place, label)
        with self._free:
            worker, well = self._take(label), False
            try:
                seconds = self._seconds * head.get("patience", 1)
                found, answer = worker.ask(head, body, most, label, seconds)
                well = not found.get("last")
            finally:
                self._give_back(worker, well)
        if found.get("kind") == "extra":
            raise PluginError(str(found["error"]), str(found["extra"]))
        if "error" in found:
            raise _KINDS.get(str(found.get("kind")), ImageError)(str(found["error"]))
        return found, answer, label

    def _take(self, label: str) -> _Worker:
        with self._lock:
            if self._closed:
                raise UnopenedError(f"{label} was not opened: no more pictures are")
            while self._idle:
                worker = self._idle.pop()
                if worker.is_there():
                    return worker
                self._all.discard(worker)
            return self._start()

    def _start(self) -> _Worker:
        worker = _Worker(self._seconds, self._memory)
        self._all.add(worker)
        return worker

    def _give_back(self, worker: _Worker, well: bool) -> None:
        with self._lock:
            if well and not self._closed:
                self._idle.append(worker)
                return
            self._all.discard(worker)
        worker.kill()
        worker.wait()


def _cut(shapes: list[tuple[float, int, int]], data: bytes, most: int) -> Iterator[Still]:
    """Stills of these seconds, heights and widths, whose pixels lie behind each other."""
    if not 0 < len(shapes) <= most:
        raise ValueError("as many stills as there can't be")
    at = 0
    for second, height, width in shapes:
        pixels = np.frombuffer(data, np.uint8, 3 * height * width, at)
        at += len(pixels)
        yield Still(float(second), pixels.reshape(height, width, 3))


def _broken(label: str) -> ImageError:
    return ImageError(f"{label} can't be opened: it broke what opened it")


def _whole_path(place: Path, label: str) -> bytes:
    """From the root, as a worker may stand elsewhere; what "a/.." is, the system knows."""
    try:
        return os.fsencode(os.path.join(os.getcwd(), place))
    except (OSError, UnicodeError) as error:
        raise ImageError(f"{label} can't be read: {error}") from None


_KINDS: dict[str, type[GalagoError]] = {
    "option": OptionError,
    "unopened": UnopenedError,
}
# What a decoder dies of by itself; everything else is done to it from outside.
_OWN_DEATHS = {
    -getattr(signal, name, 0)
    for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGSYS", "SIGTRAP")
}


class _Worker:
    """One process, asked one thing at a time."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._late = False
        paths = json.dumps([os.path.abspath(path) if path else _here() for path in sys.path])
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, paths, str(seconds), str(memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            reason = error.strerror or error
            raise UnopenedError(f"a process to open pictures in can't be had: {reason}") from error
        for pipe in (self._input, self._output):
            _widen(pipe)

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def ask(
        self, head: dict[str, Any], body: bytes, most: int, label: str, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """The answer, for which it has `seconds` of a processor; ImageError when there is none,
        after which the worker is of no more use."""
        done = threading.Event()
        clock = _PATIENCE * seconds
        threading.Thread(target=self._watch, args=(done, clock), daemon=True).start()
        try:
            send(self._input, head, body)
            return receive(self._output, most)
        except (EOFError, OSError):
            raise self._failure(label, seconds, clock) from None
        except (ValueError, RecursionError):  # what came isn't an answer
            raise _broken(label) from None
        finally:
            done.set()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        """Until it has ended; its pipes are closed."""
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):  # what was still to be written
                pipe.close()

    def is_there(self) -> bool:
        return self._process.poll() is None

    def _watch(self, done: threading.Event, seconds: float) -> None:
        """Ends the process when its time is over; a second at a time, as no time passes for a
        picture while this process is stopped (Ctrl-Z)."""
        for _ in range(math.ceil(seconds)):
            if done.wait(1):
                return
        self._late = True
        self.kill()

    def _failure(self, label: str, seconds: float, clock: float) -> ImageError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST)  # one that closed its pipe and runs on is ended
        code = self._process.poll()
        if self._late:
            return UnopenedError(f"{label} was given up: it was not open after {clock:.0f} s")
        if code == -getattr(signal, "SIGXCPU", 0):
            return ImageError(f"{label} takes over {seconds:.0f} s to decode; save it anew")
        if code is not None and code < 0 and code not in _OWN_DEATHS:  # by close(), or by others
            return UnopenedError(f"{label} was not opened: what opened it was stopped")
        reason = "" if code is None else f" ({code})"
        return ImageError(f"{label} can't be opened: it broke what opened it{reason}")


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # a folder that was deleted
        return os.sep


def _widen(pipe: IO[bytes]) -> None:
    """Room for a megabyte at a time, where pipes have a size to set: fewer turns for a picture."""
    if sys.platform != "linux":
        return
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)
