"""What is kept on disk: one process at a time, whole files or none, the newest kept, and what the
disk refuses told in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from galago.errors import GalagoError, StorageError

__all__ = [
    "discard_folder",
    "keep_newest",
    "one_at_a_time",
    "refusal",
    "refusals",
    "whole_file",
    "whole_folder",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
_ABANDONED = 86_400  # seconds after which an unfinished file is a killed process's


@contextlib.contextmanager
def one_at_a_time(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold the lock of this file; `waiting` is called once when another process has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


# -- whole or not at all ---------------------------------------------------------------------------


@contextlib.contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` if all goes well, else is removed.

    Its folder must be there. `private`: nobody else may read it.
    """
    part = _beside(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(part, flags, 0o600 if private else 0o666)
    try:
        with open(handle, "wb") as file:
            yield file
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place if all goes well, else is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = _beside(path)
    folder.mkdir()
    try:
        yield folder
        discard_folder(path)
        os.replace(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _beside(path: Path) -> Path:
    """A new name in the same folder, for what isn't whole yet."""
    return path.with_name(f".{path.name[:200]}.{os.urandom(4).hex()}.part")


def discard_folder(folder: Path) -> None:
    """Remove a folder; a removal that is broken off never leaves half of it in its place."""
    aside = folder.with_name(f".{folder.name}.old.part")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.is_dir():
        os.replace(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def keep_newest(folder: Path, pattern: str, count: int) -> None:
    """Remove all but the `count` files that were used last, and what killed processes left."""
    files = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)
    for old in files[:-count]:
        old.unlink(missing_ok=True)
    for left in folder.glob(".*.part"):
        if time.time() - left.stat().st_mtime > _ABANDONED:
            left.unlink(missing_ok=True)


# -- what the disk refuses -------------------------------------------------------------------------


def refusal(error: OSError) -> Literal["full", "closed"] | None:
    """Whether the disk is full or may not be written; None for any other fault."""
    if error.errno in _FULL:
        return "full"
    return "closed" if error.errno in _CLOSED else None


@contextlib.contextmanager
def refusals(
    *, full: str, closed: str | None = None, other: Callable[[OSError], str] | None = None
) -> Iterator[None]:
    """What the disk refuses as a StorageError, in the line for a full or a closed one.

    `other` words the rest, and what has no line of its own; without it such an error passes.
    """
    try:
        yield
    except GalagoError:
        raise
    except OSError as error:
        line = {"full": full, "closed": closed}.get(refusal(error) or "")
        if line is None and other is not None:
            line = other(error)
        if line is None:
            raise
        raise StorageError(line) from error
