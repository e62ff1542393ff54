"""A file of a walk -> what becomes of it: read, hashed, and prepared for the model if it is new."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from galago.album.contents import digest_of, is_video, moment_digest
from galago.album.embedder import Embedder, Float
from galago.album.present import opened
from galago.album.scan import Found
from galago.album.store import Moment, Store, content_hash
from galago.album.write import Photo
from galago.errors import ImageError, MissingExtraError, UnopenedError
from galago.media.limits import SETTING
from galago.media.stills import Still

__all__ = ["OpenVideo", "Outcome", "read", "read_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Kind = Literal["new", "known", "bad", "unread", "restless", "gone"]

OpenVideo = Callable[[str, int], Sequence[Still]]  # a path, and the longest side of its pictures

_LABEL = "the picture"
_SIDE_OF_STILLS = 1024  # pixels; models look at 384 at most
_MAX_BYTES = 1 << 29  # a larger picture file is a mistake, and would be held in memory
_NO_MEMORY = "there is too little memory to read it"
_RACY = 2_000_000_000  # ns: a file this young may change again without its time changing


@dataclass(frozen=True)
class Outcome:
    """A file after reading.  "gone" and "restless" files are left for the next run."""

    kind: Kind
    photo: Photo
    pixels: Float | None = None
    moments: tuple[tuple[Moment, Float], ...] = ()  # of a video, each with its pixels


def read_ahead(
    items: Iterator[Item], read: Callable[[Item], Result], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """What `read` makes of each in threads, in order; at most `ahead` aren't taken yet."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, "galago-read") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read(model: Embedder, open_video: OpenVideo, seen: Store, file: Found) -> Outcome:
    """Read, hash and, if the content is new, decode one file; runs in threads."""
    path = os.fsdecode(seen.place(file.path))
    photo = Photo(file.path, file.size, file.mtime_ns)
    video = is_video(path)
    data = b""
    try:
        with opened(path) as stream:
            before = os.fstat(stream.fileno())
            large = before.st_size > _MAX_BYTES and not video
            digest = None
            if video:
                digest = digest_of(stream, path)
            elif not large:
                data = stream.read(_MAX_BYTES + 1)
                if len(data) == before.st_size:
                    digest = content_hash(data).digest()
    except FileNotFoundError:
        return Outcome("gone", photo)
    except OSError as error:  # a disk or a permission: to be tried again, so not recorded
        return Outcome("unread", replace(photo, error=f"can't be read: {error.strerror}"))
    except MemoryError:
        return Outcome("unread", replace(photo, error=_NO_MEMORY))
    # A file this young may change again without its time showing it: look at it next time too.
    young = abs(time.time_ns() - before.st_mtime_ns) < _RACY
    changed = None if young else before.st_ctime_ns
    photo = replace(photo, size=before.st_size, mtime_ns=before.st_mtime_ns, ctime_ns=changed)
    if large:
        return Outcome("bad", replace(photo, error="larger than 512 MB"))
    photo = replace(photo, digest=digest)
    if digest is not None and seen.row_of(digest) is not None:
        outcome = Outcome("known", photo)
    elif video and digest is not None:
        outcome = _of_video(model, open_video, photo, path)
    else:
        # By its path, so that a pool's worker reads it from where it lies; see `_same` below.
        outcome = _prepared(model, photo, data if young else path)
    whole = digest is not None
    return outcome if whole and _same(path, before) else Outcome("restless", photo)


def _prepared(model: Embedder, photo: Photo, source: bytes | str) -> Outcome:
    try:
        pixels, taken = model.prepare_dated(source, name=_LABEL)
        return Outcome("new", replace(photo, taken=taken), pixels)
    except (ImageError, MemoryError) as error:
        return _refused(photo, error, _LABEL)


def _of_video(model: Embedder, open_video: OpenVideo, photo: Photo, path: str) -> Outcome:
    """A video by a few of its pictures; the first one's vector is the file's own."""
    assert photo.digest is not None
    try:
        moments = tuple(
            (
                Moment(moment_digest(photo.digest, number), photo.digest, still.second),
                model.prepare(still.pixels, name=_LABEL),
            )
            for number, still in enumerate(open_video(path, _SIDE_OF_STILLS))
        )
        return Outcome("new", replace(photo, taken=""), moments=moments)
    except (ImageError, MemoryError) as error:
        return _refused(photo, error, path)


def _refused(photo: Photo, error: Exception, label: str) -> Outcome:
    if isinstance(error, MemoryError):
        return Outcome("unread", replace(photo, digest=None, error=_NO_MEMORY))
    # By the next time an extra may have been installed, a limit raised, and a busy machine have
    # more of it.
    reason = str(error)
    again = isinstance(error, (MissingExtraError, UnopenedError)) or SETTING in reason
    kind: Kind = "unread" if again else "bad"
    # It is told after the picture's path.
    reason = reason.removeprefix(f"{label} ").removeprefix("is ")
    return Outcome(kind, replace(photo, digest=None, error=reason))


def _same(path: str, before: os.stat_result) -> bool:
    """Whether what was hashed and what was decoded are one content, for all that times tell."""
    try:
        return _times(os.stat(path)) == _times(before)
    except OSError:
        return False


def _times(about: os.stat_result) -> tuple[int, int, int]:
    """What tells of a change; a picture may be edited with its old time set again."""
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns
