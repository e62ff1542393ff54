"""What an album says of files is looked up on the disk before anyone acts on it.

An album knows what was there when it was indexed.  Since then photos may have been moved, deleted
or edited, and one file may be reached by two paths (hard links, a folder mounted twice): whoever
deletes "the other copy" by such a list loses a photo.  So what is printed or returned is looked at
first.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

__all__ = ["Check", "Checked", "Indexed", "LeftOut", "opened"]

T = TypeVar("T")


@dataclass(frozen=True)
class Indexed:
    """A file as it was when it was indexed; an mtime of 0 is not known."""

    path: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class LeftOut:
    """How many photos an answer leaves out, because the disk has not what the album says."""

    missing: int = 0  # or in a folder that can't be entered
    changed: int = 0  # another size, time or content than when they were indexed

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed)

    def sentence(self) -> str:
        """For people: without a full stop."""
        parts = []
        if self.missing:
            parts.append(f"{self.missing:,} no longer there")
        if self.changed:
            parts.append(f"{self.changed:,} changed since")
        return f"left out of what was indexed: {', '.join(parts)}"


class Checked(list[T]):
    """An answer whose paths were looked up on the disk.

    `left_out`: what it is without.  `strange`: words of the query that name nothing its model was
    taught.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        left_out: LeftOut | None = None,
        strange: Sequence[str] = (),
    ) -> None:
        super().__init__(items)
        self.left_out = left_out or LeftOut()
        self.strange = tuple(strange)


class Check:
    """Looks at the files of one answer, one after the other."""

    def __init__(self) -> None:
        self._missing = self._changed = 0
        self._admitted: set[tuple[int, int]] = set()

    @property
    def left_out(self) -> LeftOut:
        """What was turned away so far."""
        return LeftOut(self._missing, self._changed)

    def admits(self, file: Indexed) -> bool:
        """Whether it is there as it was indexed, and not a file that was admitted before."""
        try:
            found = os.stat(file.path)
        except (OSError, ValueError):
            self._missing += 1
            return False
        if not stat.S_ISREG(found.st_mode):  # a device is read for ever
            self._changed += 1
            return False
        if found.st_size != file.size or file.mtime_ns not in (0, found.st_mtime_ns):
            self._changed += 1
            return False
        one = found.st_dev, found.st_ino
        if not found.st_ino:  # a file system without such numbers
            return True
        if one in self._admitted:
            return False
        self._admitted.add(one)
        return True

    def has_changed(self) -> None:
        """One that was admitted turned out to hold something else."""
        self._changed += 1


def opened(path: bytes | str) -> BinaryIO:
    """A file to read; OSError for a pipe, which would be waited for, a device or a folder."""
    return open(path, "rb", opener=_file_alone)


def _file_alone(path: str, flags: int) -> int:
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    raise OSError(errno.EINVAL, "not a file", path)
