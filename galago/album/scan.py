"""The pictures under folders: every file once, whatever the folders are like."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from galago.album.kinds import told
from galago.album.patterns import ANYWHERE, matcher
from galago.errors import OptionError
from galago.media.images import PICTURE_SUFFIXES

__all__ = ["SKIPPED", "UNWANTED", "Found", "Rules", "Scan", "as_roots", "below", "within"]

_PHOTOS = ("Thumbnails", "database", "external", "internal", "private", "resources", "scopes")
_IPHOTO = ("Previews", "Thumbnails", "iPod Photo Cache", "resources")

# Folders of programs, caches, snapshots and wastebaskets: their pictures are nobody's photos.
SKIPPED = (
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
    "*.lrdata",  # previews of Lightroom
    "*.migratedphotolibrary",  # iPhoto's, the same files as in Photos' own
    ".Trash",
    ".Trash-*",
    ".Trashes",
    ".cache",
    ".dtrash",  # digiKam
    ".snapshot",
    ".snapshots",
    ".stversions",  # Syncthing
    ".thumbnails",
    ".zfs",
    "@Recently-Snapshot",  # QNAP
    "@Recycle",
    "@__thumb",
    "@eaDir",  # thumbnails of a Synology disk
    "FOUND.[0-9][0-9][0-9]",
    "RECYCLER",
    "System Volume Information",
    "__MACOSX",
    "__pycache__",
    "lost+found",
    "node_modules",
    "site-packages",
    "~snapshot",
    # Libraries of programs: the photos themselves lie beside these (originals, Masters).
    *(f"{ANYWHERE}*.photoslibrary/{name}" for name in _PHOTOS),
    *(f"{ANYWHERE}*.{kind}/{name}" for kind in ("photolibrary", "aplibrary") for name in _IPHOTO),
    f"{ANYWHERE}*.cocatalog/Cache",
    f"{ANYWHERE}CaptureOne/Cache",
)
_ANYWHERE = tuple(pattern for pattern in SKIPPED if pattern.startswith(ANYWHERE))
_NOTHING_THERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)  # deleted since, or a link to nothing
UNWANTED = ".nomedia"  # Android's mark of a folder that galleries leave out


@dataclass(frozen=True)
class Found:
    """A picture file; the path as bytes, as names may be anything but text."""

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int  # of a change to anything: content, rights, name (on Windows: when it was made)


@dataclass(frozen=True)
class Rules:
    """What a walk leaves out: hidden names, and what fits a pattern (galago/album/patterns.py)."""

    hidden: bool = False
    skip: tuple[str, ...] = SKIPPED

    def and_also(self, more: Rules) -> Rules:
        """Both together."""
        skip = dict.fromkeys((*self.skip, *more.skip))
        return Rules(self.hidden or more.hidden, tuple(skip))

    def hides(self, name: str) -> bool:
        return name.startswith(".") and not self.hidden

    def matching(self, root: str, path: str, real: str, is_folder: Callable[[], bool]) -> list[str]:
        """The patterns that leave a path out; `root`: the folder that has these rules."""
        return matcher(self.skip, _ANYWHERE).matching(root, path, real, is_folder)

    def reaches(self, root: str, path: str, *, is_folder: bool) -> bool:
        """Whether a walk from `root` comes to a path under it."""
        at, names = root, os.path.relpath(path, root).split(os.sep)
        for number, name in enumerate(names, 1):
            at = os.path.join(at, name)
            folder = is_folder or number < len(names)
            if self.hides(name) or self.matching(root, at, at, partial(bool, folder)):
                return False
        return True


@dataclass(frozen=True)
class _Place:
    """A folder to enter; `real`: where it is without links; `root`: whose rules hold there."""

    path: str
    real: str
    root: str


@dataclass
class Scan:
    """One walk; iterate it once, then look at what it met.

    Links to folders are followed when all else is done, and every folder is entered once, so a
    photo is found under its own path where it has one, and loops end.  A link into a folder of
    the album is not followed, walked this time or not: otherwise photos would come and go.  So it
    is with a link to a photo: it would pass for a copy of the one file there is.
    """

    roots: tuple[str, ...]
    hidden: bool = False
    skip: tuple[str, ...] = SKIPPED
    known: Mapping[str, Rules] = field(default_factory=dict)  # the album's folders
    excluded: Collection[str] = ()  # not entered
    suffixes: Collection[str] = PICTURE_SUFFIXES  # of the files that are looked for
    others: int = 0  # files that are no pictures
    kinds: Counter[str] = field(default_factory=Counter)  # of those that people may look for
    matched: set[str] = field(default_factory=set)  # patterns that left something out
    unreadable: dict[str, str] = field(default_factory=dict)  # folder -> reason

    def __post_init__(self) -> None:
        self._known = dict.fromkeys(self.roots, Rules(self.hidden, self.skip)) | {**self.known}

    def __iter__(self) -> Iterator[Found]:
        entered: set[tuple[int, int]] = set()
        places = [_Place(root, root, root) for root in reversed(self.roots)]
        links: list[_Place] = []
        while places or links:
            place = places.pop() if places else links.pop()
            if self._left_out(place):
                continue
            root = place.path if place.path in self._known else place.root
            deeper: list[_Place] = []
            for entry in self._entries(place.path, entered):
                real = os.path.join(place.real, entry.name)
                if self._unwanted(entry, real, root):
                    continue
                if not self._is_folder(entry, place.path):
                    if (found := self._picture(entry, place.path)) is not None:
                        yield found
                elif entry.is_symlink():
                    links.append(_Place(entry.path, os.path.realpath(entry.path), root))
                else:
                    deeper.append(_Place(entry.path, real, root))
            places.extend(reversed(deeper))

    def _unwanted(self, entry: os.DirEntry[str], real: str, root: str) -> bool:
        """Whether a name, or a path, is not to be looked at."""

        def is_folder() -> bool:
            try:
                return entry.is_dir()
            except OSError:  # which is told when it is entered
                return False

        rules = self._known[root]
        matching = rules.matching(root, entry.path, real, is_folder)
        self.matched.update(matching)
        return bool(matching) or rules.hides(entry.name)

    def _left_out(self, place: _Place) -> bool:
        if place.path in self._known:
            return False
        if place.path in self.excluded or place.real in self.excluded:
            return True
        linked = place.path != place.real
        return linked and (within(place.real, self._known) or within(place.real, self.excluded))

    def _entries(self, folder: str, entered: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
        """What is in a folder, by name; nothing when it was entered before or isn't wanted.

        A folder that was named is wanted, whatever mark is in it.
        """
        try:
            about = os.stat(folder)
            if (about.st_dev, about.st_ino) in entered:
                return []
            entered.add((about.st_dev, about.st_ino))
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self.unreadable[folder] = error.strerror or str(error)
            return []
        marked = any(entry.name == UNWANTED for entry in entries)
        return [] if marked and folder not in self._known else entries

    def _picture(self, entry: os.DirEntry[str], folder: str) -> Found | None:
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix not in self.suffixes:
            self.others += 1
            if told(suffix):
                self.kinds[suffix] += 1
            return None
        try:
            about = os.stat(entry.path)
        except OSError as error:
            self._refused(folder, error)
            return None
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for, a device read for ever
            return None
        if entry.is_symlink() and self._is_elsewhere(os.path.realpath(entry.path)):
            return None
        return Found(os.fsencode(entry.path), about.st_size, about.st_mtime_ns, about.st_ctime_ns)

    def _is_elsewhere(self, real: str) -> bool:
        """Whether a file is the album's by its own path, or was taken out with its folder."""
        folder = os.path.dirname(real)
        while folder not in self._known:
            up = os.path.dirname(folder)
            if folder in self.excluded or up == folder:
                return folder in self.excluded
            folder = up
        # git-annex links photos to files in a hidden folder, which no walk finds there.
        is_picture = os.path.splitext(real)[1].lower() in self.suffixes
        return is_picture and self._known[folder].reaches(folder, real, is_folder=False)

    def _is_folder(self, entry: os.DirEntry[str], folder: str) -> bool:
        try:
            return entry.is_dir()
        except OSError as error:
            self._refused(folder, error)
            return False

    def _refused(self, folder: str, error: OSError) -> None:
        """What is in a folder can't be told: it is not gone, unless nothing is there."""
        if error.errno not in _NOTHING_THERE:
            self.unreadable[folder] = error.strerror or str(error)


def as_roots(folders: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Folders by their real paths, each once; OptionError for what is none."""
    roots: dict[str, None] = {}
    for folder in folders:
        text = os.path.expanduser(os.fspath(folder))
        if not text.strip():  # it would be the current folder
            raise OptionError("the name of a folder is empty; '.' is the current one")
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


def within(path: str, folders: Collection[str]) -> bool:
    """Whether a path is one of the folders or lies in one."""
    while path not in folders:
        up = os.path.dirname(path)
        if up == path:
            return False
        path = up
    return True
