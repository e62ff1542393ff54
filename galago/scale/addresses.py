"""Files elsewhere (s3://, gs://, hf:// …), by pyarrow's filesystems and fsspec's.

Only what a person named is asked for, or what a list or table that they named holds.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, TypeVar

from galago.errors import MissingExtraError, OptionError

__all__ = [
    "Listed",
    "check_offline",
    "files_of",
    "is_address",
    "is_web",
    "opened",
    "patiently",
    "walk",
]

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # longer than a drive's letter
_NATIVE = {"s3", "gs", "gcs", "abfs", "abfss"}  # schemes that pyarrow knows itself
_WEB = re.compile(r"https?://", re.IGNORECASE)
# What Arrow quotes of a bucket's answer.
_FINAL = re.compile("NO_SUCH_|ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH")
_LISTED = 8  # folders of a bucket that are looked into at once
_TRIES, _FIRST_WAIT = 5, 0.5  # with doubling: 7.5 s, and up to as much again by chance

Listed = tuple[str, int, "int | None"]  # path, bytes, microseconds since 1970
T = TypeVar("T")


def is_address(text: str) -> bool:
    """Whether a text says where something is by a scheme, as s3://bucket/folder does."""
    return _ADDRESS.match(text) is not None


def is_web(text: str) -> bool:
    """Whether it is a page's address, which can be fetched and not looked into."""
    return _WEB.match(text) is not None


def check_offline(address: str) -> None:
    """OptionError for an address, where --offline is given."""
    if is_address(address):
        raise OptionError(
            f"{address} is elsewhere and --offline contacts nobody: HF_HUB_OFFLINE=1 instead only "
            "keeps models from being fetched"
        )


def files_of(address: str) -> tuple[str, str]:
    """What opens the files of an address (`opened` takes it), and its path there.

    "s3://bucket/folder?region=x" gives ("s3://bucket?region=x", "bucket/folder").
    """
    scheme, rest = address.split("://", 1)
    rest, _, query = rest.partition("?") if scheme.lower() in _NATIVE else (rest, "", "")
    bucket = rest.split("/", 1)[0]
    if not bucket:
        raise OptionError(f"{address} names no bucket: {scheme}://BUCKET/FOLDER")
    path = rest.rstrip("/")
    return f"{scheme}://{bucket}" + (f"?{query}" if query else ""), path


@lru_cache(maxsize=16)
def opened(root: str) -> Any:
    """pyarrow's FileSystem of a root as `files_of` gives it; "" is this machine's.

    MissingExtraError without pyarrow, or without the package that the scheme needs; OptionError
    for an unknown scheme and an address that can't be asked.
    """
    try:
        from pyarrow import fs
    except ImportError:
        raise MissingExtraError(f"reading {root or 'Parquet'} needs pyarrow", "cluster") from None
    if not root:
        return fs.LocalFileSystem()
    scheme = root.split("://", 1)[0].lower()
    try:
        if scheme in _NATIVE:
            return fs.FileSystem.from_uri(root)[0]
        from fsspec.core import url_to_fs

        return fs.PyFileSystem(fs.FSSpecHandler(url_to_fs(root)[0]))
    except ImportError as error:
        raise OptionError(f"{root} needs a package that isn't here: {_short(error)}") from None
    except (OSError, ValueError) as error:
        raise OptionError(f"{root} can't be opened: {_short(error)}") from None


def walk(root: str, path: str, *, excluded: str = "") -> Iterator[Listed]:
    """The files under a path, folder by folder, each by name; the path itself if it is a file.

    OptionError where nothing is, and for what can't be listed.
    """
    from pyarrow import fs

    files = opened(root)
    try:
        first = patiently(partial(files.get_file_info, path))
        if first.type == fs.FileType.File:
            yield _listed(first)
            return
        seen = False
        folders = [path]
        for found in _looked_into(files, folders):
            deeper = []
            for info in found:
                seen = True
                if info.path.rstrip("/") == excluded or info.base_name.startswith((".", "_")):
                    continue
                if info.type == fs.FileType.Directory:
                    deeper.append(info.path)
                elif info.type == fs.FileType.File:
                    yield _listed(info)
            folders.extend(reversed(deeper))
    except OSError as error:
        scheme = root.split("://")[0]
        raise OptionError(f"{scheme}://{path} can't be listed: {_short(error)}") from None
    if not seen:
        raise OptionError(f"nothing is at {root.split('://')[0]}://{path}: check the address")


def _looked_into(files: Any, folders: list[str]) -> Iterator[list[Any]]:
    """What is in the last of the folders, and so on, as long as more are put there.

    A bucket answers a thousand names at a time: the folders that come next are asked meanwhile.
    """
    from pyarrow import fs

    def ask(folder: str) -> list[Any]:
        selector = fs.FileSelector(folder, recursive=False)
        found: list[Any] = patiently(partial(files.get_file_info, selector))
        return sorted(found, key=lambda info: info.path)

    asked: dict[str, Future[list[Any]]] = {}
    threads = ThreadPoolExecutor(_LISTED, "galago-list")
    try:
        while folders:
            for folder in reversed(folders[-_LISTED:]):
                if folder not in asked:
                    asked[folder] = threads.submit(ask, folder)
            yield asked.pop(folders.pop()).result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _listed(info: Any) -> Listed:
    nanoseconds = info.mtime_ns if info.mtime is not None else None
    return info.path, int(info.size or 0), None if nanoseconds is None else nanoseconds // 1000


def patiently(ask: Callable[[], T], pause: Callable[[float], None] = time.sleep) -> T:
    """What a place elsewhere answers, asked again a few times where it throttles or fails.

    What isn't there or isn't allowed is so for good; other errors are, after five tries.
    """
    for number in range(_TRIES):
        try:
            return _as_disks(ask)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:
            if number == _TRIES - 1 or _FINAL.search(str(error)):
                raise
        # Who was refused together must not come back together.
        pause(_FIRST_WAIT * 2**number * random.uniform(1, 2))
    raise AssertionError("unreachable")


def _as_disks(ask: Callable[[], T]) -> T:
    """Whatever kind of error the package that speaks with a place has of its own, as OSError."""
    try:
        return ask()
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if isinstance(error, OSError) or package in ("builtins", "galago", "pyarrow"):
            raise
        raise OSError(f"{type(error).__name__}: {error}") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
