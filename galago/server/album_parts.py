"""What is passed in of the album's long work: indexing, and the search for copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from galago.progress import Stage

__all__ = ["Alike", "Copies", "Copy", "IndexRun", "Indexer", "LeftOut", "Report", "Tally"]

Report = Callable[[Stage, int, int], None]  # what is being done; how many are done; of how many


class Tally(Protocol):
    """galago.album.Summary is one; it is filled while the work goes on."""

    photos: int
    seen: int
    unchanged: int
    noted: int
    encoded: int
    known: int
    gone: int
    failed: list[tuple[str, str]]
    unread: list[tuple[str, str]]
    unreadable: dict[str, str]


class IndexRun(Protocol):
    """One run, not begun yet."""

    @property
    def tally(self) -> Tally: ...

    def go(self, report: Report) -> None:
        """Index; what `report` raises ends it.  Raises GalagoError."""
        ...

    def give_up(self) -> None:
        """End what opens pictures for it, from any thread."""
        ...


class Indexer(Protocol):
    """Brings the album up to date; makes it where there is none."""

    def folders(self) -> list[str]:
        """Those that make up the album so far.  Raises GalagoError for one that can't be read."""
        ...

    def run(self, folders: Sequence[str]) -> IndexRun:
        """A run over these; over all of the album's without any.  OptionError for what is none."""
        ...


class Copy(Protocol):
    """galago.album.Copy is one."""

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def likeness(self) -> float: ...

    @property
    def same(self) -> bool: ...


class LeftOut(Protocol):
    """galago.album.LeftOut is one."""

    def __bool__(self) -> bool: ...

    def sentence(self) -> str: ...


class Copies(Protocol):
    """galago.album.Duplicates is one: groups of copies."""

    alike: int

    @property
    def left_out(self) -> LeftOut: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sequence[Copy]]: ...


# Finds copies: from which likeness on, whether also what is merely alike, and who hears the share
# done; what that raises ends the search.
Alike = Callable[[float, bool, Callable[[float], None]], Copies]
