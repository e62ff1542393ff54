"""A picture among millions: what it is called, and where its bytes are."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from galago.errors import ImageError, OptionError
from galago.scale.addresses import opened, patiently

__all__ = ["Cell", "File", "Item", "Nowhere", "Place", "Stretch", "Web"]

_MOST = 1 << 30  # bytes of a picture; more than that no picture has
_PATIENCE = 30.0  # seconds without a byte from a page's server
_WRITTEN = "%/:=&?~#+!$,;'@()*[]"  # letters that stay as they are in an address
_AGAIN = (408, 425, 429)  # what HTTP calls a matter of time, with all of 500 and more


class Place(Protocol):
    """Where the bytes of a picture are."""

    def read(self) -> bytes:
        """All of them; ImageError for what will never be a picture; OSError, ValueError and
        OptionError for what may be one another time, on another machine, or by another name."""
        ...


@dataclass(frozen=True)
class Item:
    """A picture that is to be a row.

    name: what no other picture is called: a path or an address, as bytes, since names of files may
    be anything but text.  modified: microseconds since 1970, UTC.
    """

    name: bytes
    place: Place
    size: int | None = None
    modified: int | None = None

    @property
    def label(self) -> str:
        """Its name for messages."""
        return os.fsdecode(self.name)


@dataclass(frozen=True)
class File:
    """A file: a path of this machine, or of what `addresses.opened(root)` opens."""

    path: str
    root: str = ""

    def read(self) -> bytes:
        return _bytes(self.root, self.path, 0, None)


@dataclass(frozen=True)
class Stretch:
    """A member of a tar."""

    path: str
    start: int
    size: int
    root: str = ""

    def read(self) -> bytes:
        return _bytes(self.root, self.path, self.start, self.size)


@dataclass(frozen=True)
class Cell:
    """A picture in a table: the row of a Parquet file's row group; bytes, or {bytes, path}."""

    path: str
    group: int
    row: int
    column: str
    root: str = ""

    def read(self) -> bytes:
        try:
            value = _column(self.root, self.path, self.group, self.column)[self.row].as_py()
        except (ValueError, KeyError, IndexError) as error:  # a damaged table
            raise ImageError(
                f"its row can't be read: {' '.join(str(error).split())[:120]}"
            ) from None
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise ImageError("its row has no picture")
        return bytes(data)


@dataclass(frozen=True)
class Web:
    """A picture at an address of the web."""

    address: str

    def read(self) -> bytes:
        return patiently(self._read)

    def _read(self) -> bytes:
        try:
            written = urllib.parse.quote(self.address, safe=_WRITTEN)  # é and blanks
            asked = urllib.request.Request(written, headers={"User-Agent": "galago"})
            with urllib.request.urlopen(asked, timeout=_PATIENCE) as answer:
                data = _limited(answer.read(_MOST + 1))
                # Of a read that is told how much, http.client says so only here.
                if getattr(answer, "length", None):
                    raise OSError("its server's answer breaks off")
                return data
        except urllib.error.HTTPError as error:
            if error.code in _AGAIN or error.code >= 500:
                raise
            raise ImageError(f"its server answers {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            why = getattr(error.reason, "strerror", None) or error.reason
            raise OSError(f"its server can't be reached ({why})") from None
        except http.client.HTTPException as error:  # an answer that breaks off, or is none
            raise OSError(f"its server's answer can't be read ({type(error).__name__})") from None
        except ValueError as error:
            raise ImageError(f"its address can't be asked: {error}") from None


@dataclass(frozen=True)
class Nowhere:
    """What a line of a list says that can't be asked for, and why."""

    reason: str

    def read(self) -> bytes:
        raise OptionError(self.reason)


def _bytes(root: str, path: str, start: int, size: int | None) -> bytes:
    if size is not None and size > _MOST:
        raise ImageError(f"it has {size} bytes, which no picture has")
    if not root:
        with open(path, "rb") as file:
            file.seek(start)
            return _limited(file.read(_MOST + 1 if size is None else size))

    def read() -> bytes:
        with opened(root).open_input_file(path) as file:
            wanted = file.size() if size is None else size
            return bytes(file.read_at(_limit(wanted), start))

    return patiently(read)


def _limited(data: bytes) -> bytes:
    _limit(len(data))
    return data


def _limit(size: int) -> int:
    if size > _MOST:
        raise ImageError("it has more than a gigabyte, which no picture has")
    return size


@lru_cache(maxsize=2)  # rows come in order, from two threads
def _column(root: str, path: str, group: int, column: str) -> Any:
    from pyarrow import parquet

    def read() -> Any:
        with opened(root).open_input_file(path) as file:
            return parquet.ParquetFile(file).read_row_group(group, columns=[column])[column]

    return patiently(read)
