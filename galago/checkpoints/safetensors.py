"""The safetensors format: memory-mapped reading, streamed writing, no copies, no pickles.

Format: eight bytes (little-endian length), a JSON header {name: {dtype, shape, data_offsets}},
then the tensors' bytes (https://github.com/huggingface/safetensors). The reader here gives bf16
as raw 16-bit words and checks every offset, so that a truncated download is named, not crashed on.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import NUMPY_TYPES, Entry, FileState, LazyTensor
from galago.disk import POINTER, is_pointer, is_regular
from galago.errors import CheckpointError

_MAX_HEADER = 8 << 20  # bytes: a thousand tensors take about 100 KB
_MAX_DIMS = 32  # numpy 1's limit
_MAX_COUNT = 1 << 60
_ALIGN = 64


class SafetensorsFile:
    """One memory-mapped file. `tensors` maps names to LazyTensor; `metadata` is its free text.

    `state` is the file as it was just before it was mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if os.path.lexists(path) and not is_regular(path):
            raise CheckpointError(f"{path} cannot be read (it is not a regular file)")
        try:
            self.state = FileState.of(path)
            size = path.stat().st_size
            header, start = _read_header(path, size)
            # Copy-on-write, because the engine shares only memory that could be written; nobody
            # does. A plain view of it is cut up ten times as quickly.
            self._map = np.memmap(path, dtype=np.uint8, mode="c").view(np.ndarray)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from error
        metadata = header.pop("__metadata__", {})
        self.metadata: dict[str, str] = metadata if isinstance(metadata, dict) else {}
        self.tensors: dict[str, LazyTensor] = {}
        for name, entry in header.items():
            self.tensors[name] = self._tensor(name, entry, start, size)

    def _tensor(self, name: str, entry: Any, start: int, size: int) -> LazyTensor:
        try:
            dtype, shape = str(entry["dtype"])[:40], _counts(entry["shape"], _MAX_DIMS)
            begin, end = _counts(entry["data_offsets"], 2)
        except (KeyError, TypeError, ValueError):
            raise CheckpointError(f"{self.path}: the entry of {name} is damaged") from None
        if dtype not in NUMPY_TYPES:
            raise CheckpointError(f"{self.path}: the tensor {name} has unknown type {dtype}")
        wanted = math.prod(shape) * np.dtype(NUMPY_TYPES[dtype]).itemsize
        if end - begin != wanted:
            raise CheckpointError(f"{self.path}: the offsets of {name} do not fit its shape")
        if start + end > size:
            raise CheckpointError(
                f"{self.path} is cut short: {name} ends at byte {start + end} of {size}; "
                "fetch the model again"
            )
        return LazyTensor(name, shape, dtype, self._map[start + begin : start + end])


def _counts(numbers: Any, most: int) -> tuple[int, ...]:
    """At most so many counts, each bounded, so that their product is quickly known. ValueError."""
    if not isinstance(numbers, list) or len(numbers) > most:
        raise ValueError("too many numbers")
    if not all(type(n) is int and 0 <= n < _MAX_COUNT for n in numbers):
        raise ValueError("no counts")
    return tuple(numbers)


def _read_header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        head = file.read(32)
        if is_pointer(head):
            raise CheckpointError(f"{path} {POINTER}")
        length = int.from_bytes(head[:8], "little")
        file.seek(8)
        if size < 10 or length > min(_MAX_HEADER, size - 8):
            raise CheckpointError(f"{path} is not a safetensors file or is cut short")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise CheckpointError(f"{path} has a damaged header; fetch the model again") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has a damaged header; fetch the model again")
    return header, 8 + length


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
