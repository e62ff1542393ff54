"""The safetensors format: memory-mapped reading, streamed writing, no copies, no pickles.

Format: eight bytes (little-endian length), a JSON header {name: {dtype, shape, data_offsets}},
then the tensors' bytes (https://github.com/huggingface/safetensors). The reader here gives bf16
as raw 16-bit words and checks every offset, so that a truncated download is named, not crashed on.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from galago.errors import CheckpointError

_NUMPY: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_MAX_HEADER = 100_000_000
_ALIGN = 64


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
        return self._bytes.view(_NUMPY[self.dtype]).reshape(self.shape)

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


class SafetensorsFile:
    """One memory-mapped file. `tensors` maps names to LazyTensor; `metadata` is its free text.

    `state` is the file as it was just before it was mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.state = FileState.of(path)
            size = path.stat().st_size
            header, start = _read_header(path, size)
            # Copy-on-write, because the engine shares only memory that could be written; nobody
            # does.
            self._map = np.memmap(path, dtype=np.uint8, mode="c")
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from error
        metadata = header.pop("__metadata__", {})
        self.metadata: dict[str, str] = metadata if isinstance(metadata, dict) else {}
        self.tensors: dict[str, LazyTensor] = {}
        for name, entry in header.items():
            self.tensors[name] = self._tensor(name, entry, start, size)

    def _tensor(self, name: str, entry: Any, start: int, size: int) -> LazyTensor:
        try:
            dtype, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
            begin, end = (int(n) for n in entry["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise CheckpointError(f"{self.path}: the entry of {name} is damaged") from None
        if dtype not in _NUMPY:
            raise CheckpointError(f"{self.path}: the tensor {name} has unknown type {dtype}")
        wanted = math.prod(shape) * np.dtype(_NUMPY[dtype]).itemsize
        if min(shape, default=0) < 0 or begin < 0 or end - begin != wanted:
            raise CheckpointError(f"{self.path}: the offsets of {name} do not fit its shape")
        if start + end > size:
            raise CheckpointError(
                f"{self.path} is cut short: {name} ends at byte {start + end} of {size}; "
                "fetch the model again"
            )
        return LazyTensor(name, shape, dtype, self._map[start + begin : start + end])


def _read_header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > min(_MAX_HEADER, size - 8):
            raise CheckpointError(f"{path} is not a safetensors file or is cut short")
        try:
            header = json.loads(file.read(length))
        except ValueError:
            raise CheckpointError(f"{path} has a damaged header; fetch the model again") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has a damaged header; fetch the model again")
    return header, 8 + length


@dataclass(frozen=True)
class Entry:
    """The planned place of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * np.dtype(_NUMPY[self.dtype]).itemsize


class SafetensorsWriter:
    """Writes tensors run by run, holding none of them.

    `plan` must be complete beforehand because the header comes first. `append` takes the next run
    of rows of any tensor, so a weight and its scales can be written as they are computed.
    """

    def __init__(
        self, path: Path, plan: Mapping[str, Entry], metadata: Mapping[str, str] | None = None
    ) -> None:
        header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        offset = 0
        self._next: dict[str, int] = {}
        self._end: dict[str, int] = {}
        for name, entry in plan.items():
            self._next[name], self._end[name] = offset, offset + entry.size
            header[name] = {
                "dtype": entry.dtype,
                "shape": list(entry.shape),
                "data_offsets": [offset, offset + entry.size],
            }
            offset += entry.size
        text = json.dumps(header, separators=(",", ":")).encode()
        # Padding keeps the first tensor aligned, which the engine's shared constants like.
        text += b" " * (-(8 + len(text)) % _ALIGN)
        self._start = 8 + len(text)
        self.written = 0
        self._file: IO[bytes] = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little"))
        self._file.write(text)

    def append(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write the next run of `name`; ValueError when it is more than was planned."""
        place = self._next[name]
        if place + array.nbytes > self._end[name]:
            raise ValueError(f"{name} is larger than planned")
        self._file.seek(self._start + place)
        self._file.write(np.ascontiguousarray(array).data)
        self._next[name] = place + array.nbytes
        self.written += array.nbytes

    def close(self) -> None:
        """Flush to disk; ValueError when a tensor is not complete."""
        short = [name for name, place in self._next.items() if place != self._end[name]]
        if short:
            raise ValueError(f"{short[0]} was not written whole")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close without checks, after an error."""
        self._file.close()
