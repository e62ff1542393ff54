"""Vectors on disk: rows of float16 in one file that only grows, read through a memory map.

The database says how many rows count. Rows are written and synced before that number is committed,
so a reader never meets half a row, and what a killed writer left behind is cut off by the next one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.album.places import option
from galago.errors import StorageError

__all__ = ["Rows", "VectorFile", "best"]

ITEM = 2  # bytes of a number

# A block of this many numbers stays in the cache of one core, and is small enough for OpenBLAS not
# to wake its own threads, which would fight with ours (10 times slower when that was tried).
_BLOCK = 1 << 17
_ALONE = 20_000  # rows that one thread scores before a second one would have started
_WIDEN = np.int32(0x8FFFE000 - (1 << 32))
_LIFT = np.float32(2.0**112)


class VectorFile:
    """The writer's side; one at a time, under the album's lock."""

    def __init__(self, path: Path, dim: int, rows: int) -> None:
        """Opens or makes the file and cuts off what was never committed."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._dim = dim
        try:
            if os.fstat(self._file).st_size < rows * dim * ITEM:
                raise StorageError(damaged(path))
            os.ftruncate(self._file, rows * dim * ITEM)
            _sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, start: int, vectors: Float) -> None:
        """Vectors (n, dim) as the rows from `start` on, synced; OSError when the disk refuses."""
        assert vectors.ndim == 2 and vectors.shape[1] == self._dim
        os.lseek(self._file, start * self._dim * ITEM, os.SEEK_SET)
        left = memoryview(np.ascontiguousarray(vectors, "<f2").tobytes())
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> VectorFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Rows:
    """The reader's side: the first `count` rows of a file."""

    def __init__(self, path: Path, dim: int, count: int) -> None:
        """FileNotFoundError when the file is gone, StorageError when rows are missing."""
        self.dim = dim
        if count == 0:
            self._stored: NDArray[np.int16] = np.empty((0, dim), "<i2")
            return
        try:
            self._stored = np.asarray(np.memmap(path, "<i2", "r", shape=(count, dim)))
        except ValueError:  # shorter than that
            raise StorageError(damaged(path)) from None

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, rows: NDArray[np.intp] | slice) -> Float:
        """These rows, float32 (n, dim)."""
        return self._stored[rows].view("<f2").astype(np.float32)

    def blocks(self, size: int) -> Iterator[tuple[int, Float]]:
        """All rows in order: where a block starts, and the block in float32."""
        for start in range(0, len(self), size):
            yield start, self.take(slice(start, start + size))

    def scores(self, query: Float, threads: int | None = None) -> Float:
        """The product of every row with a query (dim,): float32 (count,).

        numpy's own conversion from float16 takes 90 ms for 100,000 rows of 512, this one 15: the
        bits of a float16 put where a float32 has them are the same number times 2^-112, which the
        query makes up for. (Rows are of unit length, so neither infinities nor NaN occur.)
        """
        out = np.empty(len(self), np.float32)
        lifted = np.asarray(query, np.float32) * _LIFT
        threads = threads or min(4, os.cpu_count() or 1)
        if threads == 1 or len(self) <= _ALONE:
            self._score(0, len(self), lifted, out)
            return out
        edges = [int(edge) for edge in np.linspace(0, len(self), threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            parts = [
                pool.submit(self._score, start, stop, lifted, out)
                for start, stop in pairwise(edges)
            ]
            for part in parts:
                part.result()
        return out

    def _score(self, start: int, stop: int, lifted: Float, out: Float) -> None:
        size = max(1, _BLOCK // self.dim)
        room = np.empty((size, self.dim), np.int32)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            bits = room[: last - first]
            np.copyto(bits, self._stored[first:last])
            np.left_shift(bits, 13, out=bits)
            np.bitwise_and(bits, _WIDEN, out=bits)  # the sign was spread over three bits too many
            np.dot(bits.view(np.float32), lifted, out=out[first:last])


def best(scores: Float, k: int) -> NDArray[np.intp]:
    """The places of the k highest scores, highest first; of equals the first first."""
    k = min(k, len(scores))
    if k < len(scores):
        edge = np.partition(scores, len(scores) - k)[len(scores) - k]
        places = np.concatenate(
            [np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)]
        )  # equals at the edge: the first ones stay
    else:
        places = np.arange(k)
    return places[np.lexsort((places, -scores[places]))][:k]


def damaged(path: Path) -> str:
    """The line for a file that is gone or lost some of its end."""
    again = f"galago index --fresh{option(path.parent.name)}"
    return f"{path} is damaged, rows are missing; make it again: {again}"


def _sync_folder(folder: Path) -> None:
    """The name of a new file survives a power cut too; only some systems can and need to."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Delete a file that nobody needs; one that is still read on Windows goes the next time."""
    with contextlib.suppress(OSError):
        path.unlink()
