"""What a person types for pictures -> the pictures, in natural order, and work on each of them."""

from __future__ import annotations

import glob
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from galago.cli.missing import missing
from galago.cli.terminal import Bar, complain, one_line, path_fields, write_record
from galago.errors import CutShortError, ImageError
from galago.places import as_path

if TYPE_CHECKING:
    from galago.media.pool import PicturePool

__all__ = ["Picture", "expand", "for_each", "is_video", "natural"]

Opened = TypeVar("Opened")
# What the work needs of a picture, made beforehand; it ends early when the event is set.
Ready = Callable[[Opened, "Picture", threading.Event], Any]
# Each picture, and what waits until it is ready.
_Coming = Generator[tuple["Picture", Callable[[], "Picture"]], None, None]
_MOST = 1 << 30  # bytes taken from standard input, which may never end
_AT_ONCE = 4  # beyond it replies share little, and as many decoded pictures are held


@dataclass(frozen=True)
class Picture:
    """One picture: what to call it, and where its bytes are, or the picture itself."""

    label: str
    source: Any  # a path, bytes or a decoded picture

    @property
    def path(self) -> Path:
        return self.source if isinstance(self.source, Path) else Path(self.label)

    @property
    def is_video(self) -> bool:
        """By its name, as nothing else tells before it is opened."""
        return isinstance(self.source, Path) and is_video(self.source)


def is_video(path: Path) -> bool:
    from galago.media.video import VIDEO_SUFFIXES

    return path.suffix.lower() in VIDEO_SUFFIXES


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that puts page2 before page10."""
    parts = re.split(r"(\d+)", text.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p]


def expand(
    arguments: Iterable[str], *, recursive: bool = False, videos: bool = False
) -> list[Picture]:
    """Files as given, folders and globs as the pictures in them; each file once, `-` is stdin.

    `videos`: globs match them too (folders don't: one may hold hours of them).
    Raises ImageError when a folder or a glob holds no picture; a missing file is left to be
    reported when its turn comes, so that one bad name among many doesn't stop the rest.
    """
    found: dict[str, Picture] = {}
    for argument in arguments:
        for picture in _expand_one(argument, recursive, videos):
            found.setdefault(picture.label, picture)
    return list(found.values())


def _expand_one(argument: str, recursive: bool, videos: bool) -> list[Picture]:
    path = as_path(argument)
    if not argument.strip():  # as of a variable that isn't set; it would be the current folder
        raise ImageError("the name of a picture is empty; for all of this folder give .")
    if argument == "-":
        # Python has no stdin at all when it was closed.
        data = sys.stdin.buffer.read(_MOST + 1) if sys.stdin else b""
        if len(data) > _MOST:
            raise ImageError("standard input gives more than a picture's bytes")
        return [Picture("-", data)]
    # os.path and not pathlib, which raises for names too long and folders not to be entered.
    if os.path.isdir(path):
        return _folder(path, recursive)
    if not os.path.exists(path) and glob.has_magic(argument):
        paths = [Path(p) for p in glob.glob(str(path), recursive=True)]
        files = [p for p in paths if _is_picture(p) or (videos and is_video(p) and p.is_file())]
        if not files:
            raise ImageError(f"no picture matches {argument}")
        return _sorted(files)
    return [Picture(argument, path)]


def _folder(folder: Path, recursive: bool) -> list[Picture]:
    from galago.media.images import PICTURE_SUFFIXES

    files = [p for p in (folder.rglob("*") if recursive else folder.glob("*")) if _is_picture(p)]
    if not files:
        kinds = " ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        hint = "" if recursive else "; --recursive looks in its folders too"
        raise ImageError(f"no picture ({kinds}) in the folder {folder}{hint}")
    return _sorted(files)


def _is_picture(path: Path) -> bool:
    from galago.media.images import PICTURE_SUFFIXES

    hidden = path.name.startswith(".")
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not hidden


def _sorted(files: Iterable[Path]) -> list[Picture]:
    return [Picture(str(p), p) for p in sorted(files, key=lambda p: natural(str(p)))]


def for_each(
    found: list[Picture],
    load: Callable[[PicturePool | None], Opened],
    work: Callable[[Opened, Picture, Bar], None],
    *,
    as_json: bool,
    ready: Ready[Opened] | None = None,
) -> int:
    """Load a model and work on every picture: 0, 1 when some could not be read, 2 when none could.

    Of many, threads make the sources of a few pictures `ready`, the one at work and those after it,
    and `load` gets a pool to open them: a lone picture is the person's own, many may be anyone's.
    When all of many are missing nothing is loaded. A lone picture's failure is raised; of
    many each is told on stderr and, `as_json`, in a record of its own.
    """
    if not any(isinstance(p.source, bytes) or os.path.exists(p.source) for p in found):
        if len(found) == 1:
            raise ImageError(missing(found[0].label))
        with Bar(0) as bar:
            for picture in found:
                _report(picture, ImageError(missing(picture.label)), bar, as_json)
        return 2
    if len(found) == 1:
        return _work(found, load(None), work, as_json, lambda opened: _one_by_one(found))
    from galago.media.pool import PicturePool

    with PicturePool(min(_AT_ONCE, len(found))).warm() as pool:
        ahead = partial(_ahead, found, ready, pool) if ready else lambda opened: _one_by_one(found)
        return _work(found, load(pool), work, as_json, ahead)


def _work(
    found: list[Picture],
    opened: Opened,
    work: Callable[[Opened, Picture, Bar], None],
    as_json: bool,
    ahead: Callable[[Opened], _Coming],
) -> int:
    failed = unread = 0
    with (
        Bar(len(found)) as bar,
        # Closed here: an interrupt while its threads end would be a traceback elsewhere.
        closing(ahead(opened)) as pictures,
    ):
        for picture, get in pictures:
            bar.name(picture.label)
            try:
                work(opened, get(), bar)
            except ImageError as error:
                if len(found) == 1 and not isinstance(error, CutShortError):
                    raise
                failed += 1
                unread += not isinstance(error, CutShortError)  # which did give something
                _report(picture, error, bar, as_json)
            bar.advance()
    if failed and len(found) > 1:
        complain(f"{failed} of {len(found)} pictures could not be read")
    return 2 if unread == len(found) else 1 if failed else 0


def _one_by_one(found: list[Picture]) -> _Coming:
    yield from ((picture, partial(replace, picture)) for picture in found)


def _ahead(
    found: list[Picture], ready: Ready[Opened], pool: PicturePool, opened: Opened
) -> _Coming:
    """Each picture, and what waits until it is ready; threads are at work on a few at once."""
    stop = threading.Event()

    def made(picture: Picture) -> Picture:
        return replace(picture, source=ready(opened, picture, stop))

    left = iter(found)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        coming = deque((p, threads.submit(made, p)) for p in islice(left, _AT_ONCE))
        try:
            while coming:
                picture, current = coming.popleft()
                yield picture, current.result
                coming.extend((p, threads.submit(made, p)) for p in islice(left, 1))
        finally:
            stop.set()
            pool.close()  # nobody waits for what is being opened
            for _, waiting in coming:
                waiting.cancel()


def _report(picture: Picture, error: ImageError, bar: Bar, as_json: bool) -> None:
    with bar.aside():
        gone = isinstance(picture.source, Path) and not os.path.exists(picture.source)
        message = missing(picture.label) if gone else str(error)
        complain(message if picture.label in message else f"{picture.label}: {message}")
        if as_json:
            told = one_line(message)
            write_record({**path_fields(picture.label, "picture"), "error": told})
