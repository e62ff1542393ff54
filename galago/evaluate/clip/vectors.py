"""Vectors on disk as they are made, so that a run that was stopped goes on.

A file holds those of one model, a key of 16 bytes before each: what a vector was made of, by its
own bytes, so that no data has to be recognised.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.disk import refusals

__all__ = ["Float", "KeptVectors", "key_of"]

Float = NDArray[np.float32]
_KEY = 16


def key_of(data: bytes | memoryview) -> bytes:
    """What tells pixels, or a text, from others."""
    return blake2b(data, digest_size=_KEY).digest()


class KeptVectors:
    """Rows of `dim` numbers by their keys.  StorageError for what the disk refuses."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path = path
        self._record = np.dtype([("key", np.uint8, (_KEY,)), ("row", np.float32, (dim,))])
        self._rows: dict[bytes, Float] = {}
        with self._refusals():
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._read()
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115

    def _read(self) -> None:
        """Whole records; what a stopped process left half is cut off."""
        found = np.fromfile(self.path, self._record)
        with open(self.path, "r+b") as file:
            file.truncate(len(found) * self._record.itemsize)
        for key, row in zip(found["key"], found["row"], strict=True):
            self._rows[key.tobytes()] = row

    def __enter__(self) -> KeptVectors:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._rows)

    def forget(self) -> None:
        """Remove the file: what it was kept for is done."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def rows(self, keys: Sequence[bytes], make: Callable[[list[int]], Float]) -> Float:
        """A row a key, float32 (n, dim); `make` makes those of the numbers that are new."""
        new = {key: number for number, key in enumerate(keys) if key not in self._rows}
        if new:
            made = make(list(new.values()))
            records = np.empty(len(new), self._record)
            records["key"] = [np.frombuffer(key, np.uint8) for key in new]
            records["row"] = made
            with self._refusals():
                self._file.write(records.tobytes())
            self._rows.update(zip(new, made, strict=True))
        return np.stack([self._rows[key] for key in keys])

    def _refusals(self) -> contextlib.AbstractContextManager[None]:
        folder = self.path.parent
        return refusals(
            full=f"the disk is full: vectors can't be kept in {folder}; make room, or set "
            "GALAGO_CACHE to a folder on a larger disk",
            closed=f"vectors can't be kept in {folder}: it may not be written",
        )
