"""The held-out share: chosen by what a picture is, so that it stays the same from run to run."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from galago.errors import OptionError

__all__ = ["Groups", "Split", "check_share"]


def check_share(share: float) -> float:
    """The share, if it is one; OptionError else."""
    if not 0 <= share < 1:
        raise OptionError(f"--held-out {share:g} is not possible: use a share from 0 to below 1")
    return share


@dataclass(frozen=True)
class Split:
    """Numbers of the rows that are learnt and of those that are held out.

    note: what is to be said about it, "" for nothing.
    """

    train: array[int]
    held_out: array[int]
    note: str = ""


class Groups:
    """Rows that share a picture belong together, and so do those that share one with one of them.

    Else the same picture could be learnt and asked about.
    """

    def __init__(self) -> None:
        self._node: dict[bytes, int] = {}  # of a picture's digest
        self._parent = array("Q")
        self._smallest: list[bytes] = []  # digest of a root's group
        self._rows, self._first = array("Q"), array("Q")

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, digests: Iterable[bytes]) -> None:
        """A row with the digests of its pictures, or the one of its text: at least one."""
        nodes = [self._of(digest) for digest in digests]
        self._rows.append(row)
        self._first.append(nodes[0])
        for node in nodes[1:]:
            self._join(nodes[0], node)

    def split(self, share: float) -> Split:
        """The rows whose group's digest, as a number from 0 to 1, is below the share.

        Neither side is ever left empty: of two groups or more at least one is held out and one is
        learnt, the one whose digest is nearest to the border.
        """
        roots = [self._root(node) for node in self._first]
        groups = sorted({*roots}, key=lambda root: self._smallest[root])
        if share == 0:
            return Split(array("Q", self._rows), array("Q"), "")
        if len(groups) < 2:
            return Split(array("Q", self._rows), array("Q"), _why_none(len(self)))
        count = sum(_number(self._smallest[root]) < share for root in groups)
        chosen = min(max(count, 1), len(groups) - 1)
        held = {*groups[:chosen]}
        sides = array("Q"), array("Q")
        for row, root in zip(self._rows, roots, strict=True):
            sides[root in held].append(row)
        return Split(*sides, "" if chosen == count else _why_moved(share, count, len(sides[1])))

    def _of(self, digest: bytes) -> int:
        if digest not in self._node:
            self._node[digest] = len(self._parent)
            self._parent.append(len(self._parent))
            self._smallest.append(digest)
        return self._node[digest]

    def _root(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]  # halves the way of the next
            node = self._parent[node]
        return node

    def _join(self, one: int, other: int) -> None:
        one, other = self._root(one), self._root(other)
        if one != other:
            self._parent[other] = one
            self._smallest[one] = min(self._smallest[one], self._smallest[other])


def _number(digest: bytes) -> float:
    return int.from_bytes(digest[:8], "big") / 2**64


def _why_none(rows: int) -> str:
    about = "there is one row" if rows == 1 else "all rows are about the same picture"
    return f"{about}: nothing is held out, so nothing tells whether more than that was learnt"


def _why_moved(share: float, count: int, held: int) -> str:
    few = "none" if count == 0 else "all"
    rows = "1 row is" if held == 1 else f"{held} rows are"
    return f"by its hash {few} would be in the share of {share:g}, so {rows} all the same"
