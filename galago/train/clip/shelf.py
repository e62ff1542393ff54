"""Where shards stand: a folder of this machine, or one of a bucket (s3://, gs:// and their like).

Both take whole files or none.  A bucket that throttles is asked again, later and later; what it
refuses in the end is one line, and the same command goes on.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from galago.disk import one_at_a_time, optional_json, refusals, whole_file
from galago.errors import OptionError, StorageError
from galago.scale.addresses import files_of, is_address, is_web, opened, patiently, walk

__all__ = [
    "Bucket",
    "Folder",
    "Shelf",
    "fetched",
    "in_bucket",
    "lies_in",
    "name_of",
    "opened_far",
    "shelf_of",
    "tars",
]

_PIECE = 8 << 20  # bytes of a request
_MOST_JSON = 4 << 20


def in_bucket(text: str) -> bool:
    """Whether this is the address of a bucket's file or folder, and not a page's."""
    return is_address(text) and not is_web(text)


def name_of(place: str) -> str:
    """The name of a file, by its path or its address; what follows "?" in that is no part of it."""
    return Path(files_of(place)[1] if in_bucket(place) else place).name


def lies_in(place: str, folder: str) -> bool:
    """Whether a bucket's file lies in a folder there, and not further below."""
    if not (in_bucket(folder) and in_bucket(place)):
        return False
    (root, path), (other, file) = files_of(folder), files_of(place)
    return root == other and file.rpartition("/")[0] == path


class Shelf(Protocol):
    """A place for shards and what stands beside them."""

    def alone(self, names: list[str]) -> AbstractContextManager[None]:
        """Hold the shards of these names, as far as that can be, and make room for them."""

    def there(self) -> set[str]:
        """The names of the files."""

    def told(self, name: str) -> dict[str, Any]:
        """A JSON object; empty where there is none."""

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file that stands there under its name when all has gone well, and else doesn't."""


@dataclass(frozen=True)
class Folder:
    """Of this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def alone(self, names: list[str]) -> Iterator[None]:
        """StorageError while another process has them, and for a disk that is full or closed."""

        def busy() -> None:
            raise StorageError(f"another galago reinforces into {self}; wait for it")

        with refusals(
            full=f"the disk is full: the shards don't fit {self}; make room and run the same again",
            closed=f"{self} can't be written: give OUT a place that can",
        ):
            self.path.mkdir(parents=True, exist_ok=True)
            with one_at_a_time(self.path / f".{names[0]}.lock", busy):
                self._sweep(names)
                yield
                self._sweep(names)

    def _sweep(self, names: list[str]) -> None:
        """Remove what killed processes left."""
        for name in names:
            for part in self.path.glob(f".{name}.*.part"):
                part.unlink(missing_ok=True)

    def there(self) -> set[str]:
        return {path.name for path in self.path.glob("*") if path.is_file()}

    def told(self, name: str) -> dict[str, Any]:
        return optional_json(self.path / name)

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return whole_file(self.path / name)


@dataclass(frozen=True)
class Bucket:
    """A folder of a bucket, by its address; nobody can hold it, but a file there is whole."""

    address: str

    def __str__(self) -> str:
        return self.address

    def _at(self, name: str) -> tuple[str, str]:
        root, path = files_of(self.address)
        return root, f"{path}/{name}"

    @contextmanager
    def alone(self, names: list[str]) -> Iterator[None]:
        with refusals(
            full="the disk is full: a shard is made here before it goes to the bucket",
            closed="a shard is made here before it goes to the bucket, and this disk is closed",
        ):
            yield

    def there(self) -> set[str]:
        from pyarrow import fs

        root, path = files_of(self.address)
        # `walk` tells a folder that isn't there from one that is, and here it may not be yet.
        asked = fs.FileSelector(path, allow_not_found=True)
        with _lines(self.address):
            found = patiently(partial(opened(root).get_file_info, asked))
        return {info.base_name for info in found if info.type == fs.FileType.File}

    def told(self, name: str) -> dict[str, Any]:
        with _lines(self.address):
            try:
                found = json.loads(_whole(*self._at(name), _MOST_JSON))
            except (FileNotFoundError, ValueError):
                return {}
        return found if isinstance(found, dict) else {}

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as held:
            yield held
            root, path = self._at(name)

            def send() -> None:
                held.seek(0)
                with opened(root).open_output_stream(path) as stream:
                    while piece := held.read(_PIECE):
                        stream.write(piece)

            with _lines(self.address):
                patiently(send)


def shelf_of(place: Path | str) -> Shelf:
    """By a path or an address."""
    if isinstance(place, str) and is_address(place):
        if is_web(place):
            raise OptionError(f"{place} is a page's address: give a folder or a bucket")
        return Bucket(place.rstrip("/"))
    return Folder(Path(os.path.abspath(os.path.expanduser(place))))


def tars(address: str) -> list[str]:
    """The addresses of the tars at an address: those of a folder, or the one that it is.

    OptionError for none, and for what can't be listed.
    """
    root, path = files_of(address)
    scheme, query = address.split("://")[0], root.partition("?")[2]
    found = [f"{scheme}://{at}" for at, _, _ in walk(root, path) if at.lower().endswith(".tar")]
    if not found:
        raise OptionError(f"{address} holds no tars: of a bucket these are read and nothing else")
    return [f"{one}?{query}" if query else one for one in sorted(found)]


@contextmanager
def opened_far(address: str) -> Iterator[IO[bytes]]:
    """A file of a bucket as a stream, in requests of some MB that are each asked again."""
    root, path = files_of(address)
    with patiently(partial(opened(root).open_input_file, path)) as file:
        yield io.BufferedReader(_Pieces(file), _PIECE)


@contextmanager
def fetched(address: str, folder: Path) -> Iterator[Path]:
    """A file of a bucket as one of this machine, in a folder, while it is used."""
    copy = folder / files_of(address)[1].rpartition("/")[2]
    try:
        with _lines(address), opened_far(address) as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file, _PIECE)
        yield copy
    finally:
        with contextlib.suppress(OSError):
            copy.unlink()


class _Pieces(io.RawIOBase):
    """pyarrow's file as Python reads files."""

    def __init__(self, file: Any) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ask: Callable[[], bytes] = partial(self._file.read_at, len(buffer), self._at)
        data = patiently(ask)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _whole(root: str, path: str, most: int) -> bytes:
    def read() -> bytes:
        with opened(root).open_input_file(path) as file:
            return bytes(file.read(most))

    return patiently(read)


@contextmanager
def _lines(address: str) -> Iterator[None]:
    """What a bucket refuses after all tries, as a line."""
    try:
        yield
    except FileNotFoundError:
        raise OptionError(f"{address} is not there: check the address") from None
    except OSError as error:
        why = " ".join(str(error).split())[:200]
        raise StorageError(
            f"{address} doesn't answer or refuses ({why}): what is done is kept, run the same again"
        ) from None
