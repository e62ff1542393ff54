"""What a stored tensor is, wherever it is stored, and the number formats it may have."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from galago.errors import CheckpointError

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]
_RUN = 1 << 22  # numbers that are computed at a time

NUMPY_TYPES: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U32": "<u4",
    "U8": "u1",
    "BOOL": "?",
}


class Stored(Protocol):
    """A tensor that can be read: an entry of a file, an array in memory, or computed on reading."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> str: ...

    def read(self) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class FileState:
    """A file as it was found: a change, or another file in its place, shows in its numbers."""

    path: Path
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The file's whole path, and what tells it from others. OSError when it isn't there."""
        path = path.resolve()
        state = path.stat()
        return cls(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))

    def unchanged(self) -> bool:
        """Whether it still is that file."""
        try:
            return FileState.of(self.path) == self
        except OSError:
            return False


@dataclass(frozen=True)
class LazyTensor:
    """A tensor in a memory-mapped file; nothing is read from disk until `read()` is used."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    _bytes: npt.NDArray[np.uint8] = field(repr=False, compare=False)

    def read(self) -> npt.NDArray[Any]:
        """A view of the file, not to be written (bf16 as uint16)."""
        return self._bytes.view(NUMPY_TYPES[self.dtype]).reshape(self.shape)

    def place(self) -> tuple[npt.NDArray[np.uint8], int] | None:
        """All bytes of the file and where in them the tensor begins; None if it isn't mapped."""
        mapped = self._mapped()
        if mapped is None:
            return None
        whole = np.frombuffer(mapped, dtype=np.uint8)
        return whole, self._bytes.ctypes.data - whole.ctypes.data

    def release(self) -> None:
        """Tell the system that the pages read so far may be dropped from this process."""
        mapped, place = self._mapped(), self.place()
        if mapped is None or place is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        first = -(-place[1] // mmap.PAGESIZE) * mmap.PAGESIZE
        length = place[1] + self._bytes.nbytes - first
        if length > 0:
            mapped.madvise(mmap.MADV_DONTNEED, first, length)

    def _mapped(self) -> mmap.mmap | None:
        base: Any = self._bytes
        while isinstance(base, np.ndarray):
            base = base.base
        return base if isinstance(base, mmap.mmap) else None


@dataclass(frozen=True)
class ScaledTensor:
    """An int8 tensor with one float32 scale a row, read as float32.

    For small models only: every read computes the whole tensor.
    """

    name: str
    values: LazyTensor
    scale: LazyTensor
    dtype: str = "F32"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def read(self) -> npt.NDArray[Any]:
        """values * scale, a new float32 array."""
        scale = self.scale.read().reshape(-1, *[1] * (len(self.shape) - 1))
        return np.asarray(self.values.read() * scale, dtype=np.float32)

    def release(self) -> None:
        """As LazyTensor.release."""
        self.values.release()


@dataclass(frozen=True)
class AdaptedTensor:
    """A matrix with what LoRA learnt added, rounded to `dtype`; computed on each read.

    base (out, in) + scale * up (out, rank) @ down (rank, in), in runs of rows of which one at a
    time is held as float32.
    """

    name: str
    base: LazyTensor | ScaledTensor
    down: LazyTensor
    up: LazyTensor
    scale: float
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    def read(self) -> npt.NDArray[Any]:
        """A new array; CheckpointError for numbers that `dtype` can't hold."""
        stored, down = self.base.read(), read_float(self.down)
        up = read_float(self.up) * np.float32(self.scale)
        out = np.empty(self.shape, NUMPY_TYPES[self.dtype])
        step = max(1, _RUN // max(1, self.shape[1]))
        for at in range(0, len(out), step):
            rows = slice(at, at + step)
            whole = widen(stored[rows], self.base.dtype) + up[rows] @ down
            try:
                out[rows] = narrowed(whole, self.dtype)
            except ValueError as error:
                raise CheckpointError(f"the adapter makes {self.name} {error}") from None
        return out

    def release(self) -> None:
        """As LazyTensor.release."""
        self.base.release()


@dataclass(frozen=True)
class Entry:
    """The planned place of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * np.dtype(NUMPY_TYPES[self.dtype]).itemsize


def widen(array: npt.NDArray[Any], dtype: str) -> Float:
    """Stored numbers as float32; bf16 comes as its upper 16 bits in uint16."""
    if dtype == "BF16":
        out = np.empty(array.shape, dtype=np.uint32)
        np.left_shift(array, 16, out=out, dtype=np.uint32, casting="unsafe")
        return out.view(np.float32)
    return array.astype(np.float32, copy=False)


def read_float(stored: Stored) -> Float:
    """A stored tensor as float32; a view of its file where it is float32 already."""
    return widen(stored.read(), stored.dtype)


def let_go(stored: Stored) -> None:
    """Of a memory-mapped tensor: drop its pages, which are read again if they are needed at all."""
    release = getattr(stored, "release", None)
    if release is not None:
        release()


def to_bf16(array: Float) -> npt.NDArray[np.uint16]:
    """float32 to bf16 bits, rounded to nearest even (finite input)."""
    bits = np.asarray(array, dtype=np.float32, order="C").view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return np.asarray(rounded >> np.uint32(16), dtype=np.uint16)


def narrowed(array: Float, dtype: str) -> npt.NDArray[Any]:
    """float32 as F32, F16 or BF16 (its bits); ValueError for numbers that it can't hold."""
    with np.errstate(over="ignore"):
        found = to_bf16(array) if dtype == "BF16" else array.astype(NUMPY_TYPES[dtype])
    if not np.isfinite(array).all() or (dtype == "F16" and not np.isfinite(found).all()):
        raise ValueError(f"numbers that {dtype} can't hold")
    return found


@dataclass(frozen=True)
class InMemory:
    """A tensor held in memory, read like one of a file."""

    dtype: str
    shape: tuple[int, ...]
    array: Array

    def read(self) -> Array:
        return self.array


@dataclass(frozen=True)
class FusedTensor:
    """A tensor computed from its branches whenever it is read; float32."""

    name: str
    shape: tuple[int, ...]
    compute: Callable[[], Float]
    dtype: str = "F32"

    def read(self) -> Float:
        return self.compute()


Tensor = LazyTensor | ScaledTensor | AdaptedTensor


def scaled(stored: Mapping[str, LazyTensor]) -> dict[str, Tensor]:
    """Join int8 tensors with their scales; one without a fitting scale stays as it is."""
    found: dict[str, Tensor] = dict(stored)
    for name, tensor in stored.items():
        scale = stored.get(f"{name}.scale")
        if tensor.dtype != "I8" or scale is None or scale.dtype != "F32":
            continue
        if tensor.shape and scale.shape in ((tensor.shape[0],), (tensor.shape[0], 1)):
            found[name] = ScaledTensor(name, tensor, scale)
    return found
