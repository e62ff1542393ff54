"""What is kept on disk: one process at a time, whole files or none, the newest kept, and what the
disk refuses told in one line. What others left there is read from regular files of bounded size."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

from galago.errors import CheckpointError, GalagoError, StorageError

__all__ = [
    "ABANDONED",
    "POINTER",
    "discard_folder",
    "file_sha256",
    "is_pointer",
    "is_regular",
    "keep_newest",
    "one_at_a_time",
    "optional_json",
    "read_json",
    "read_regular",
    "read_text",
    "refusal",
    "refusals",
    "whole_file",
    "whole_folder",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
_MAX_JSON = 4 << 20  # bytes: published configurations and indexes have a hundredth of it
_MAX_DEPTH = 32
POINTER = (
    "is a pointer of Git LFS, not the file itself: run `git lfs pull` in its folder, or fetch the "
    "model with `galago pull`"
)
ABANDONED = 86_400  # seconds after which an unfinished file is a killed process's


@contextlib.contextmanager
def one_at_a_time(
    path: Path, waiting: Callable[[], object], still: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the lock of this file; `waiting` is called once when another process has it.

    `still` is called several times a second from then on; what it raises ends the wait.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        while not lock.is_locked:
            still()
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0.2)
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


def discard_folder(folder: Path, *, strict: bool = False) -> None:
    """Remove a folder; a removal that is broken off never leaves half of it in its place.

    `strict`: OSError for what can't be removed, of which the rest lies beside it.
    """
    aside = folder.with_name(f".{folder.name}.old.part")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.is_dir():
        os.replace(folder, aside)
        shutil.rmtree(aside, ignore_errors=not strict)


def keep_newest(folder: Path, pattern: str, count: int) -> None:
    """Remove all but the `count` files that were used last, and what killed processes left."""
    files = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)
    for old in files[:-count]:
        old.unlink(missing_ok=True)
    for left in folder.glob(".*.part"):
        if time.time() - left.stat().st_mtime > ABANDONED:
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


# -- files of others -------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal, read a few megabytes at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def is_regular(path: Path) -> bool:
    """Whether this is a file with an end, by a link too: no device, pipe, socket or folder."""
    return os.path.isfile(path)  # pathlib's raises for names that no file can have


def is_pointer(head: bytes) -> bool:
    """Whether a file that begins so only says which file Git LFS has in its place."""
    return head.startswith(b"version https://git-lfs")


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file; OSError for anything else, and for more than `limit` bytes."""
    if os.path.lexists(path) and not is_regular(path):
        raise OSError("it is not a regular file")
    # Another thing may have taken its place: a pipe would wait for somebody to write.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError("it is not a regular file")
        data = file.read(limit + 1)
    if is_pointer(data):
        raise OSError(f"it {POINTER}")
    if len(data) > limit:
        raise OSError(f"it has more than {limit} bytes")
    return data


def read_text(path: Path) -> str:
    """A text of a model's folder in UTF-8; CheckpointError as read_json."""
    try:
        return read_regular(path, _MAX_JSON).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{path} cannot be read ({reason}); fetch it again") from None


def read_json(path: Path, *, finite: bool = True) -> dict[str, Any]:
    """The JSON object in a file of a model's folder, its numbers `finite` unless told otherwise.

    CheckpointError for what is missing, no regular file, larger than any such file, nested deeper,
    or no object in UTF-8.
    """
    try:
        value = json.loads(
            read_regular(path, _MAX_JSON).decode("utf-8-sig"),
            parse_constant=_no_number if finite else None,
            parse_float=_finite if finite else None,
        )
        _check_text(value)
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{path.parent} is not a model folder: it has no {path.name}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{path} cannot be read as JSON ({reason}); fetch it again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object; fetch it again")
    return value


def optional_json(path: Path) -> dict[str, Any]:
    """As read_json, and empty where there is nothing of that name."""
    return read_json(path) if os.path.lexists(path) else {}


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _check_text(value: Any) -> None:
    """ValueError for what is nested too deeply, and for halves of characters in any text."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str):
                one.encode()
            elif isinstance(one, dict):
                inner += [*one, *one.values()]
            elif isinstance(one, list):
                inner += one
        level = inner
    if level:
        raise ValueError("it is nested too deeply")
