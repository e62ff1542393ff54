"""Which pictures are rows already: sixteen bytes of each name, and no name."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct
from typing import Any

import numpy as np

__all__ = ["Known"]

_RECENT = 1 << 16  # names in a set, at a hundred bytes each; more of them are put in order
_FACTOR = 4  # a run that isn't so many times as long as the next one becomes one with it
_HALVES = Struct("<QQ")


class Known:
    """Names that were met, in sixteen bytes each: 1.6 GB for 10⁸.

    That any two of 10⁹ share their sixteen bytes has a probability of 10⁻²¹.  A set would take a
    hundred bytes a name; here only the latest are in one, the others in a few runs in order, which
    double as in a log-structured merge tree (https://doi.org/10.1007/s002360050048).
    """

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self._recent: set[bytes] = set()
        self._runs: list[_Run] = []  # the longest first
        for name in names:
            self._recent.add(_digest(name))
            if len(self._recent) >= _RECENT:
                self._put_in_order()
        if self._runs:  # asked as often as IN has pictures: one run is looked into sooner
            self._put_in_order(factor=len(self))

    def __len__(self) -> int:
        """Names; one of a table that has it twice may count twice."""
        return len(self._recent) + sum(len(run) for run in self._runs)

    def __contains__(self, name: bytes) -> bool:
        return self._has(_digest(name))

    def meet(self, name: bytes) -> bool:
        """Whether a name is new; from now on it isn't."""
        digest = _digest(name)
        if self._has(digest):
            return False
        self._recent.add(digest)
        if len(self._recent) >= _RECENT:
            self._put_in_order()
        return True

    def _has(self, digest: bytes) -> bool:
        if digest in self._recent:
            return True
        first, second = _HALVES.unpack(digest)
        return any(run.has(first, second) for run in self._runs)

    def _put_in_order(self, factor: int = _FACTOR) -> None:
        self._runs.append(_Run.of(self._recent))
        self._recent = set()
        while len(self._runs) > 1 and len(self._runs[-2]) < factor * len(self._runs[-1]):
            shorter, longer = self._runs.pop(), self._runs.pop()
            self._runs.append(longer.merged(shorter))


class _Run:
    """Digests in order of their first halves, as two arrays of uint64 (N,)."""

    def __init__(self, firsts: Any, seconds: Any) -> None:
        self.firsts, self.seconds = firsts, seconds
        # What bisect takes a number out of in half the time that an array needs.
        self._looked = memoryview(firsts), memoryview(seconds)

    @classmethod
    def of(cls, digests: set[bytes]) -> _Run:
        halves = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2).astype(np.uint64)
        order = np.argsort(halves[:, 0])
        return cls(halves[order, 0], halves[order, 1])

    def __len__(self) -> int:
        return len(self.firsts)

    def has(self, first: int, second: int) -> bool:
        firsts, seconds = self._looked
        at = bisect_left(firsts, first)
        while at < len(firsts) and firsts[at] == first:
            if seconds[at] == second:
                return True
            at += 1
        return False

    def merged(self, other: _Run) -> _Run:
        """With another one's, which should be the shorter."""
        places = np.searchsorted(self.firsts, other.firsts)
        firsts = np.insert(self.firsts, places, other.firsts)
        return _Run(firsts, np.insert(self.seconds, places, other.seconds))


def _digest(name: bytes) -> bytes:
    return blake2b(name, digest_size=16).digest()
