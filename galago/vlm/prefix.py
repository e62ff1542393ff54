"""Caches that outlive a question, so that the beginning of a prompt is computed once.

Every position of a prompt has a key: the token's id, or the picture's digest and which of its
tokens it is.  A cache remembers the keys of what it holds; a new prompt takes the idle cache that
begins like it and feeds the rest only, unless computing all of it anew is quicker.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Union

from galago.vlm.decode import Cache

__all__ = ["CachePool", "Key", "Lease"]

Key = Union[int, "tuple[str, int]"]


@dataclass
class Lease:
    """A cache on loan: nobody else touches it until it is given back.

    `keys` are those of the whole prompt, of which the cache holds the first `cache.length`; add
    the key of every token that is fed after them.
    """

    cache: Cache
    keys: list[Key] = field(default_factory=list)


class CachePool:
    """Idle caches, the latest last.  Safe to use from several threads."""

    def __init__(
        self,
        new_cache: Callable[[], Cache],
        keep: int = 2,
        pays: Callable[[int, int], bool] = lambda known, new: True,
    ) -> None:
        """`pays(known, new)`: whether continuing is quicker than feeding all anew."""
        self._new_cache = new_cache
        self._keep = keep
        self._pays = pays
        self._idle: list[Lease] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def borrow(self, keys: Sequence[Key]) -> Iterator[Lease]:
        """A cache that holds as much of the beginning of `keys` as any, never all of them.

        At least one position is left to feed, as logits come from feeding.
        """
        lease = self._take(keys)
        held = max(0, min(_common(lease.keys, keys), lease.cache.length, len(keys) - 1))
        try:
            lease.cache.truncate(held if self._pays(held, len(keys) - held) else 0)
            lease.keys = list(keys)
            try:
                yield lease
            finally:
                lease.cache.rest()
        except GeneratorExit:  # the reader went away between two tokens: the cache is whole
            self._give_back(lease)
            raise
        # Any other exception may have left the cache half-fed: it is dropped.
        self._give_back(lease)

    def keep(self, count: int) -> None:
        """From now on keep so many idle caches."""
        self._keep = count

    def clear(self) -> None:
        """Free the idle caches."""
        with self._lock:
            self._idle.clear()

    def _take(self, keys: Sequence[Key]) -> Lease:
        with self._lock:
            if self._idle:
                best = max(self._idle, key=lambda lease: _common(lease.keys, keys))
                worth = 2 * _common(best.keys, keys) >= len(keys)
                if worth or len(self._idle) >= self._keep:
                    chosen = best if worth else self._idle[0]
                    self._idle = [lease for lease in self._idle if lease is not chosen]
                    return chosen
        return Lease(self._new_cache())

    def _give_back(self, lease: Lease) -> None:
        lease.keys = lease.keys[: lease.cache.length]
        with self._lock:
            self._idle = [*self._idle, lease]
            del self._idle[: max(0, len(self._idle) - self._keep)]


def _common(one: Sequence[Key], other: Sequence[Key]) -> int:
    """Length of the common beginning."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
