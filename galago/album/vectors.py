"""Vectors on disk: rows of float16 in one file that only grows, read through a memory map.

The database says how many rows count. Rows are written and synced before that number is committed,
so a reader never meets half a row, and what a killed writer left behind is cut off by the next one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simsimd
from numpy.typing import NDArray

from galago.album.embedder import Float
from galago.album.names import option
from galago.errors import StorageError

__all__ = ["Block", "Rows", "VectorFile", "best", "damaged", "remove"]

ITEM = 2  # bytes of a number

_AT_ONCE = 1 << 15  # rows of one call, so that other threads get a turn in between
_AGAIN = 4096  # rows scored exactly at once
_STEP = 2.0**-24  # relative error of one float32 operation

# Its kernels for these would add up in float16, too; the next best ones add up in float32.
for _kind in ("sapphire", "sve_f16"):
    simsimd.disable_capability(_kind)


class VectorFile:
    """The writer's side; one at a time, under the album's lock."""

    def __init__(self, path: Path, dim: int, rows: int) -> None:
        """Opens or makes the file and cuts off what was never committed."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._dim = dim
        try:
            about = os.fstat(self._file)
            if not stat.S_ISREG(about.st_mode):
                raise StorageError(damaged(path, "it is no file"))
            if about.st_size < rows * dim * ITEM:
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


class Block:
    """Rows of numbers side by side, float16 or float32 (n, dim), in memory or mapped."""

    def __init__(self, stored: NDArray[Any], odd: str) -> None:
        """`odd`: what StorageError says of numbers that galago doesn't write."""
        half = stored.dtype.itemsize == ITEM
        self._half, self._odd = half, odd
        self._stored: NDArray[Any] = stored.view("<i2") if half else stored
        self.dim = stored.shape[1]

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, rows: NDArray[np.intp] | slice) -> Float:
        """These rows, float32 (n, dim); StorageError for numbers that galago doesn't write."""
        return self._finite(self._floats(self._stored[rows]).astype(np.float32))

    def blocks(self, size: int) -> Iterator[tuple[int, Float]]:
        """All rows in order: where a block starts, and the block in float32."""
        for start in range(0, len(self), size):
            yield start, self.take(slice(start, start + size))

    def _floats(self, stored: NDArray[Any]) -> NDArray[Any]:
        return stored.view("<f2") if self._half else stored

    def _finite(self, numbers: Float) -> Float:
        if not np.isfinite(numbers).all():
            raise StorageError(self._odd)
        return numbers

    def nearest(
        self,
        query: Float,
        k: int,
        without: NDArray[np.intp] | None = None,
        *,
        above: float = -np.inf,
    ) -> tuple[NDArray[np.intp], Float]:
        """The k rows of the highest product with a query (dim,): places and products, best first.

        Of equals the first first; `without`: places to leave out; `above`: only products that are
        higher are wanted, though others may come, too.  Exact, in two steps: simsimd multiplies
        the rows as they lie with the query in their format, which is wrong by no more than what
        the query and float32 additions lose (rows are of unit length).  Whatever may be among the
        best by that is multiplied again, all in float32.  StorageError as of `take`.
        """
        query = np.asarray(query, np.float32)
        length = float(np.linalg.norm(query)) or 1.0
        rough = (query / length).astype("<f2" if self._half else "<f4")
        lost = float(np.linalg.norm(query / length - rough.astype(np.float32)))
        margin = 2 * 1.01 * (lost + 2 * self.dim * _STEP)
        scores = self._finite(self._look(rough))  # of a row that isn't finite no product is
        left = len(self)
        if without is not None and len(without):
            scores[without] = -np.inf
            left -= len(without)
        k = min(k, left)
        if k < 1:
            return np.empty(0, np.intp), np.empty(0, np.float32)
        edge = max(np.partition(scores, len(scores) - k)[len(scores) - k], above / length)
        places = np.flatnonzero(scores >= edge - margin)
        exact = np.empty(len(places), np.float32)
        for start in range(0, len(places), _AGAIN):
            part = slice(start, start + _AGAIN)
            # Not a product of matrices: that rounds equal rows differently at different places.
            np.einsum("ij,j->i", self.take(places[part]), query, out=exact[part])
        chosen = best(exact, k)
        return places[chosen], exact[chosen]

    def _look(self, rough: NDArray[Any]) -> Float:
        """Products of all rows with a query in their format, about right: float32 (count,)."""
        out = np.empty(len(self), np.float32)
        rows = self._floats(self._stored)
        for start in range(0, len(self), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            out[part] = np.asarray(simsimd.cdist(rough[None], rows[part], metric="dot"))[0]
        return out


class Rows(Block):
    """The reader's side: the first `count` rows of a file."""

    def __init__(self, path: Path, dim: int, count: int) -> None:
        """FileNotFoundError when the file is gone, StorageError when rows are missing."""
        super().__init__(_mapped(path, dim, count), damaged(path, "it holds odd numbers"))


def _mapped(path: Path, dim: int, count: int) -> NDArray[np.int16]:
    if count == 0:
        return np.empty((0, dim), "<i2")
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
        raise StorageError(damaged(path, "it is no file"))
    try:
        return np.asarray(np.memmap(path, "<i2", "r", shape=(count, dim)))
    except ValueError:  # shorter than that
        raise StorageError(damaged(path)) from None


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


def damaged(path: Path, how: str = "rows are missing") -> str:
    """The line for a file that is gone, or not as galago wrote it."""
    again = f"galago index --fresh{option(path.parent.name)}"
    return f"{path} is damaged, {how}; make it again: {again}"


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
