"""Which pictures are rows already: sixteen bytes of each name, and no name."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

__all__ = ["Known"]


class Known:
    """Names that were met.

    That any two of 10⁹ share their sixteen bytes has a probability of 10⁻²¹.
    """

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self._digests = {_digest(name) for name in names}

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, name: bytes) -> bool:
        return _digest(name) in self._digests

    def meet(self, name: bytes) -> bool:
        """Whether a name is new; from now on it isn't."""
        digest = _digest(name)
        if digest in self._digests:
            return False
        self._digests.add(digest)
        return True


def _digest(name: bytes) -> bytes:
    return blake2b(name, digest_size=16).digest()
