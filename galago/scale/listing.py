"""IN -> its pictures, one by one and in the same order every time.

A folder (its pictures, the members of its tars, the rows of its Parquet files), one such file, or
a list of paths and addresses; here, or elsewhere by an address.  Nothing is opened that need not
be: of a tar the headers are read, of a table the columns that are no pictures.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from galago.album.kinds import wanted
from galago.album.scan import Scan
from galago.disk import is_regular
from galago.errors import OptionError
from galago.media.images import PICTURE_SUFFIXES
from galago.rows.tars import members
from galago.scale.addresses import check_offline, files_of, is_address, is_web, opened, walk
from galago.scale.items import File, Item, Nowhere, Stretch, Web
from galago.scale.tables import rows_of

__all__ = ["Listing"]

_TAR, _TABLE, _LISTS = ".tar", ".parquet", (".txt", ".lst")
_PACKED = (".tar.gz", ".tgz", ".tar.zst", ".zip", ".gz", ".bz2", ".xz")
_FAR = 6e10  # seconds from 1970: the years 68 to 3871, which Python's dates hold


@dataclass(frozen=True)
class _Found:
    """A file that was met: its path for `root`, and what names of pictures in it begin with."""

    path: str
    name: bytes
    size: int
    modified: int | None
    root: str = ""


@dataclass
class Listing:
    """The pictures of IN; iterate it as often as they are wanted, then look at what it met.

    column: of Parquet files, which holds the pictures, paths or addresses; "" for one of a usual
    name.  out: what is written, and no picture of IN's.  offline: addresses are refused, also
    those that a list or a table names.

    Raises OptionError for what isn't there or can't be listed; MissingExtraError for Parquet and
    addresses without the packages that read them.
    """

    place: str
    column: str = ""
    out: str = ""
    offline: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)  # folders and files -> reason
    left: Counter[str] = field(default_factory=Counter)  # what tars hold besides pictures

    def __post_init__(self) -> None:
        if not self.place.strip():
            raise OptionError("the name of IN is empty: give a folder, a file or an address")
        if self.offline:
            check_offline(self.place)
        self._elsewhere = is_address(self.place)
        self._suffixes = wanted(videos=False)
        if self._elsewhere:
            if is_web(self.place):
                raise OptionError(
                    f"{self.place} can't be listed: write addresses of the web into a .txt, one a "
                    "line, or into a column of a Parquet file"
                )
            return
        self.place = os.path.abspath(os.path.expanduser(self.place))
        if os.path.isdir(self.place):  # as an album has it: one name for one file
            self.place = os.path.realpath(self.place)
        if not os.path.lexists(self.place):
            raise OptionError(f"no such file or folder: {self.place}")
        if not os.path.isdir(self.place) and not is_regular(Path(self.place)):
            raise OptionError(f"{self.place} is neither a file nor a folder")
        self._check_kind()

    def __iter__(self) -> Iterator[Item]:
        self.unreadable.clear()
        self.left.clear()
        alone = not os.path.isdir(self.place) if not self._elsewhere else _suffix(self.place) != ""
        for found in self._files():
            try:
                yield from self._pictures(found)
            except OptionError as error:
                if alone:  # there is nothing else
                    raise
                self.unreadable[os.fsdecode(found.name)] = str(error)

    def _check_kind(self) -> None:
        """OptionError for a file that is of none of the kinds, before anything is asked of it."""
        if os.path.isdir(self.place):
            return
        if self.place.lower().endswith(_PACKED):
            raise OptionError(f"{self.place} is compressed: unpack it first")
        if _suffix(self.place) not in (_TAR, _TABLE, *_LISTS, *self._suffixes):
            raise OptionError(
                f"{self.place} is neither a picture nor a .tar, a .parquet or a .txt with a path "
                "or an address a line"
            )

    def _files(self) -> Iterator[_Found]:
        """Files that are pictures or hold some."""
        kinds = {*self._suffixes, _TAR, _TABLE}
        if self._elsewhere:
            root, path = files_of(self.place)
            out = files_of(self.out)[1] if is_address(self.out) else ""
            scheme = self.place.split("://")[0]
            for at, size, modified in walk(root, path, excluded=out):
                if _suffix(at) in kinds or (_suffix(at) in _LISTS and at == path):
                    name = f"{scheme}://{at}".encode("utf-8", "surrogateescape")
                    yield _Found(at, name, size, modified, root)
        elif os.path.isdir(self.place):
            excluded = (
                ()
                if is_address(self.out) or not self.out
                else (os.path.realpath(os.path.expanduser(self.out)),)
            )
            scan = Scan((self.place,), suffixes=kinds, excluded=excluded)
            for found in scan:
                path = os.fsdecode(found.path)
                yield _Found(path, found.path, found.size, found.mtime_ns // 1000)
            self.unreadable.update(scan.unreadable)
        else:
            about = os.stat(self.place)
            name = os.fsencode(self.place)
            yield _Found(self.place, name, about.st_size, about.st_mtime_ns // 1000)

    def _pictures(self, found: _Found) -> Iterator[Item]:
        suffix = _suffix(found.path)
        if suffix == _TAR:
            return self._in_tar(found)
        if suffix == _TABLE:
            return rows_of(
                found.path, found.name, found.root, found.modified, self.column, self._named
            )
        if suffix in _LISTS:
            return self._in_list(found)
        file = File(found.path, found.root)
        return iter([Item(found.name, file, found.size, found.modified)])

    def _in_tar(self, found: _Found) -> Iterator[Item]:
        try:
            with _open(found) as file:
                for member in members(file, os.fsdecode(found.name)):
                    if not member.isreg() or _suffix(member.name) not in PICTURE_SUFFIXES:
                        self.left[_suffix(member.name) or "others"] += not member.isdir()
                        continue
                    key = member.name.encode("utf-8", "surrogateescape")
                    place = Stretch(found.path, member.offset_data, member.size, found.root)
                    yield Item(found.name + b"#" + key, place, member.size, _modified(member.mtime))
        except OSError as error:
            raise OptionError(f"{os.fsdecode(found.name)} can't be read: {error}") from None

    def _in_list(self, found: _Found) -> Iterator[Item]:
        folder = os.path.dirname(found.path)
        try:
            with _open(found) as file:
                for line in file:
                    named = os.fsdecode(line.strip(b"\r\n").removeprefix(b"\xef\xbb\xbf"))
                    if named.strip():
                        yield self._named(named, folder, found.root)
        except OSError as error:
            raise OptionError(f"{os.fsdecode(found.name)} can't be read: {error}") from None

    def _named(self, named: str, folder: str, root: str) -> Item:
        """The picture of a path, from this folder of this root on, or of an address."""
        if self.offline:
            check_offline(named)
        if is_web(named):
            return Item(named.encode("utf-8", "surrogateescape"), Web(named))
        if is_address(named):
            try:
                other, path = files_of(named)
            except OptionError as error:  # one bad line ends no list: told when it is read
                return Item(os.fsencode(named), Nowhere(str(error)))
            return Item(os.fsencode(named), File(path, other))
        if root:
            path = os.path.normpath(f"{folder}/{named}").replace(os.sep, "/")
            return Item(os.fsencode(f"{root.split('://')[0]}://{path}"), File(path, root))
        if "\0" in named:  # a list in UTF-16, say; nothing takes it for a path, nor for ~NAME
            return Item(os.fsencode(named), File(named))
        path = os.path.join(folder, os.path.expanduser(named))
        if os.pardir not in Path(path).parts:  # what x/.. is depends on whether x is a link
            path = os.path.normpath(path)  # ./a.jpg is a.jpg
        try:
            about = os.stat(path)
        except OSError:  # told when it is read
            return Item(os.fsencode(path), File(path))
        return Item(os.fsencode(path), File(path), about.st_size, about.st_mtime_ns // 1000)


def _modified(seconds: float) -> int | None:
    """A member's time in microseconds; None for what a header says that no date can be."""
    return int(seconds * 1_000_000) if abs(seconds) < _FAR else None  # not nan either


def _open(found: _Found) -> IO[bytes]:
    """A file to read and seek in, line by line too."""
    if not found.root:
        return open(found.path, "rb")
    return io.BufferedReader(opened(found.root).open_input_file(found.path))


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
