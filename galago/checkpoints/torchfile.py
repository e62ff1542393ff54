"""The files that torch.save writes, read without torch and without running anything in them.

Format (pytorch, torch/serialization.py, caffe2/serialize/inline_container.h): a zip of stored
entries, ROOT/data.pkl with the names and layouts, ROOT/data/KEY with the bytes of each storage.
data.pkl is read by torchpickle.py. Only the table of contents and data.pkl are read when a
file is opened; entries that nothing refers to are never looked at, whatever they are called.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Entry, FileState, LazyTensor
from galago.checkpoints.torchpickle import MAX_PICKLE, Storage, Tensor, is_count, read_pickle, shown
from galago.disk import POINTER, is_pointer, is_regular
from galago.errors import CheckpointError

__all__ = ["StridedTensor", "TorchFile"]

_WRAPPERS = ("state_dict", "model")

_MAX_DIRECTORY = 16 << 20  # bytes of the zip's table of contents
_MAX_DIMS = 32  # numpy 1's limit
_MAX_DEPTH = 8  # wrappers around a state dict
_MIN_ROOM = 1 << 20  # bytes that any tensor may have


@dataclass(frozen=True)
class StridedTensor(LazyTensor):
    """A transposed, sliced or expanded view of its storage; `strides` are in bytes."""

    strides: tuple[int, ...] = ()

    def read(self) -> npt.NDArray[Any]:
        """A view of the file with these strides, not to be written (bf16 as uint16)."""
        flat = LazyTensor(self.name, (-1,), self.dtype, self._bytes).read()
        # Unlike as_strided, this refuses to leave the buffer.
        view: npt.NDArray[Any] = np.ndarray(
            self.shape, flat.dtype, buffer=flat.data, strides=self.strides
        )
        return view


class TorchFile:
    """One memory-mapped file of torch.save. `tensors` maps names to LazyTensor.

    The file holds a dictionary of tensors by name, on its own or under "state_dict" or "model"
    (the outermost such entry wins); values that are no tensors are passed over. A tensor that isn't
    contiguous is a StridedTensor. Names, shapes, types and views are those of torch.load. Raises
    CheckpointError for damaged files and for everything that weights don't need.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path = Path(path)
        if os.path.lexists(path) and not is_regular(path):
            raise CheckpointError(f"{path} cannot be read (it is not a regular file)")
        try:
            self.state = FileState.of(path)
            self._entries, self._root = _read_directory(path)
            # Copy-on-write for the same reason as in SafetensorsFile.
            self._map = np.memmap(path, dtype=np.uint8, mode="c")
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from error
        order = self._root + "/byteorder"
        if order in self._entries and bytes(self._entry(order, 16)) != b"little":
            raise CheckpointError(
                f"{path} was written on a big-endian machine; save it again on a usual one"
            )
        program = bytes(self._entry(self._root + "/data.pkl", MAX_PICKLE))
        state = _state_dict(path, read_pickle(path, program))
        self.tensors: Mapping[str, LazyTensor] = {
            name: self._tensor(name, value) for name, value in state.items()
        }

    def _entry(self, name: str, limit: int | None = None) -> npt.NDArray[np.uint8]:
        """The bytes of one stored entry, mapped."""
        info = self._entries.get(name)
        if info is None:
            raise CheckpointError(f"{self.path} lacks its entry {shown(name)}; fetch it again")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise CheckpointError(
                f"{self.path} was compressed or encrypted after torch.save wrote it; use the "
                "original file, or load it in torch and save it again"
            )
        if limit is not None and info.file_size > limit:
            raise CheckpointError(
                f"{self.path}: {shown(name)} has {info.file_size} bytes, more than the "
                f"{limit} that a file of weights needs; galago doesn't read it"
            )
        head, size = info.header_offset, len(self._map)
        if 0 <= head <= size - 30 and bytes(self._map[head : head + 4]) == b"PK\x03\x04":
            # The lengths of the local name and extra field, which may differ from the directory's.
            local = struct.unpack("<HH", bytes(self._map[head + 26 : head + 30]))
            begin = head + 30 + sum(local)
            if begin + info.file_size <= size and info.compress_size == info.file_size:
                return self._map[begin : begin + info.file_size]
        raise CheckpointError(f"{self.path} is damaged at {shown(name)}; fetch it again")

    def _tensor(self, name: str, tensor: Tensor) -> LazyTensor:
        storage, shape, strides = tensor.storage, tensor.shape, tensor.strides
        where = f"{self.path}: the tensor {shown(name)}"
        if not (isinstance(storage, Storage) and _fits(tensor.offset, shape, strides)):
            raise CheckpointError(f"{where} is damaged; fetch the file again")
        size = Entry(storage.dtype, ()).size
        data = self._entry(f"{self._root}/data/{storage.key}")
        if storage.count * size > data.nbytes:
            raise CheckpointError(f"{where} has its storage cut short; fetch the file again")
        # Strides of zero make any size out of one number, and zeros in a shape hide any other.
        if math.prod(n or 1 for n in shape) * size > max(self._map.nbytes, _MIN_ROOM):
            raise CheckpointError(f"{where} would be larger than the file; galago doesn't read it")
        if 0 in shape:
            return LazyTensor(name, shape, storage.dtype, data[:0])
        span = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if tensor.offset + span > storage.count:
            raise CheckpointError(f"{where} reaches beyond its storage; fetch the file again")
        data = data[tensor.offset * size : (tensor.offset + span) * size]
        if _is_contiguous(shape, strides):
            return LazyTensor(name, shape, storage.dtype, data)
        # The stride of a dimension of one means nothing and may be any number.
        steps = tuple(
            step * size if n > 1 else size for n, step in zip(shape, strides, strict=True)
        )
        return StridedTensor(name, shape, storage.dtype, data, steps)


def _fits(offset: Any, shape: Any, strides: Any) -> bool:
    """Whether these are an offset, a shape and strides at all."""
    return (
        is_count(offset)
        and all(isinstance(numbers, tuple) for numbers in (shape, strides))
        and len(shape) == len(strides) <= _MAX_DIMS
        and all(map(is_count, shape + strides))
    )


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n != 1 and stride != step:
            return False
        step *= n
    return True


def _state_dict(path: Path, root: Any) -> dict[str, Tensor]:
    """The tensors by name, from inside the wrappers."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(root, dict):
            break
        inner = next((root[k] for k in _WRAPPERS if isinstance(root.get(k), dict)), None)
        if inner is None:
            found = {name: value for name, value in root.items() if isinstance(value, Tensor)}
            if not found or not all(isinstance(name, str) for name in found):
                break
            return found
        root = inner
    raise CheckpointError(
        f"{path} holds no tensors by name, on their own or under "
        f"{' or '.join(map(repr, _WRAPPERS))}; save model.state_dict()"
    )


# -- zip -------------------------------------------------------------------------------------------


class _Reader(io.FileIO):
    """A file that gives only so much at a time, however long its zip claims to be."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("too long a table of contents")
        return super().read(size)


def _read_directory(path: Path) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """The entries by name, and the name of the folder that all of them are in."""
    with _Reader(path) as file:
        head = file.read(32)
        magic = head[:4]
        if is_pointer(head):
            raise CheckpointError(f"{path} {POINTER}")
        if magic[:1] == b"\x80":
            raise CheckpointError(
                f"{path} is in the form that torch.save wrote before version 1.6, or a bare "
                "pickle; load it in torch and save it again"
            )
        if magic != b"PK\x03\x04":
            raise CheckpointError(
                f"{path} is not a file of torch.save; give one, or fetch it again"
            )
        try:
            with zipfile.ZipFile(file) as archive:
                infos = archive.infolist()
        # What zipfile raises on nonsense: its own error, and those of what it calls.
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise CheckpointError(
                f"{path} is cut short or damaged ({shown(str(error))}); fetch it again"
            ) from error
    entries = {info.filename: info for info in infos}
    roots = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(entries) != len(infos) or len(roots) != 1:
        raise CheckpointError(f"{path} is a zip, but not as torch.save writes it; fetch it again")
    return entries, roots[0].removesuffix("/data.pkl")
