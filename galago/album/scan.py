"""The pictures under folders: every file once, whatever the folders are like."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from galago.errors import OptionError
from galago.images import PICTURE_SUFFIXES

__all__ = ["SKIPPED", "Found", "Scan", "as_roots"]

# Folders of programs, caches and wastebaskets: their pictures are nobody's photos.
SKIPPED = (
    "#recycle",
    "$RECYCLE.BIN",
    "*.lrdata",  # previews of Lightroom
    "@eaDir",  # thumbnails of a Synology disk
    "System Volume Information",
    "__MACOSX",
    "__pycache__",
    "lost+found",
    "node_modules",
    "site-packages",
)
_UNWANTED = ".nomedia"  # Android's mark of a folder that galleries leave out


@dataclass(frozen=True)
class Found:
    """A picture file; the path as bytes, as names may be anything but text."""

    path: bytes
    size: int
    mtime_ns: int


@dataclass
class Scan:
    """One walk; iterate it once, then look at what it met.

    Links to folders are followed when all else is done, and every folder is entered once, so a
    photo is found under its own path where it has one, and loops end.
    """

    roots: tuple[str, ...]
    hidden: bool = False
    skip: tuple[str, ...] = SKIPPED
    others: int = 0  # files that are no pictures
    unreadable: dict[str, str] = field(default_factory=dict)  # folder -> reason

    def __iter__(self) -> Iterator[Found]:
        entered: set[tuple[int, int]] = set()
        folders = list(reversed(self.roots))
        links: list[str] = []
        while folders or links:
            folder = folders.pop() if folders else links.pop()
            try:
                about = os.stat(folder)
                if (about.st_dev, about.st_ino) in entered:
                    continue
                entered.add((about.st_dev, about.st_ino))
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                self.unreadable[folder] = error.strerror or str(error)
                continue
            if any(entry.name == _UNWANTED for entry in entries):
                continue
            deeper: list[str] = []
            for entry in entries:
                if (entry.name.startswith(".") and not self.hidden) or self._skips(entry.name):
                    continue
                if _is_folder(entry):
                    (links if entry.is_symlink() else deeper).append(entry.path)
                elif (found := self._picture(entry)) is not None:
                    yield found
            folders.extend(reversed(deeper))

    def _skips(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.skip)

    def _picture(self, entry: os.DirEntry[str]) -> Found | None:
        if os.path.splitext(entry.name)[1].lower() not in PICTURE_SUFFIXES:
            self.others += 1
            return None
        try:
            about = os.stat(entry.path)
        except OSError:  # a link that leads nowhere, or deleted since
            return None
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for, a device read for ever
            return None
        return Found(os.fsencode(entry.path), about.st_size, about.st_mtime_ns)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a folder that may not be looked into
        return False


def as_roots(folders: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Folders by their real paths, each once; OptionError for what is none."""
    roots: dict[str, None] = {}
    for folder in folders:
        text = os.path.expanduser(os.fspath(folder))
        try:
            path = os.path.realpath(text)
            if os.path.isfile(path):
                raise OptionError(f"{text} is a file; give the folder that holds it")
            if not os.path.isdir(path):
                raise OptionError(f"there is no folder {text}; check the name")
        except ValueError as error:  # a NUL in the name
            raise OptionError(f"{text!r} can't be a folder: {error}") from None
        roots[path] = None
    return tuple(roots)


def below(folder: str | Path) -> tuple[bytes, bytes]:
    """The first path under a folder, and the first one after all of them, as bytes sort."""
    start = os.fsencode(folder).rstrip(os.fsencode(os.sep)) + os.fsencode(os.sep)
    return start, start[:-1] + bytes([start[-1] + 1])
