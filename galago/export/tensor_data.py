"""The bytes of a graph's weights, written as they are made: never two tensors in memory.

A small graph holds its weights itself.  A large one has them beside it, in files of less than
2 GB, as a browser can't hold more in one piece: NAME.onnx_data, NAME.onnx_data_1 and so on, which
is how transformers.js asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from onnx import TensorProto

from galago.checkpoints.tensors import Array

__all__ = ["TensorData"]

_INSIDE = 700_000_000  # bytes up to which a graph holds its weights itself (protobuf ends at 2 GB)
_CHUNK = 1_900_000_000
_SMALL = 1024  # bytes that are held in the graph in any case: shapes, scalars
_PAGE = 4096  # weights begin at whole pages, so that they can be mapped


class TensorData:
    """Where the weights of one graph go; `save` ends it."""

    def __init__(self, path: Path) -> None:
        """`path`: of the graph's file, NAME.onnx."""
        self.path = path
        self._files: list[Path] = []
        self._file: BinaryIO | None = None
        self._written = self._total = 0
        self._outside: list[TensorProto] = []

    def add(
        self, name: str, kind: int, shape: tuple[int, ...], runs: Iterable[Array]
    ) -> TensorProto:
        """A tensor of ONNX's type `kind`; `runs` are its numbers in order, a part at a time."""
        tensor = TensorProto(name=name, data_type=kind, dims=shape)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        size = math.prod(shape) * dtype.itemsize
        if size <= _SMALL:
            tensor.raw_data = b"".join(np.ascontiguousarray(run, dtype).tobytes() for run in runs)
            return tensor
        file = self._place(size)
        start = self._written
        for run in runs:
            data = np.ascontiguousarray(run, dtype)
            file.write(data.data)
            self._written += data.nbytes
        assert self._written - start == size, (name, shape, self._written - start)
        self._total += size
        tensor.data_location = TensorProto.EXTERNAL
        told = {"location": self._files[-1].name, "offset": str(start), "length": str(size)}
        for key, value in told.items():
            tensor.external_data.add(key=key, value=value)
        self._outside.append(tensor)
        return tensor

    def save(self, model: onnx.ModelProto) -> int:
        """Write the graph; how many files its weights have beside it (0: none).

        `model` holds what `add` returned.
        """
        if self._file is not None:
            self._file.close()
        if self._total > _INSIDE:
            self.path.write_bytes(model.SerializeToString())
            return len(self._files)
        for tensor in model.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:
                told = {entry.key: entry.value for entry in tensor.external_data}
                offset, length = int(told["offset"]), int(told["length"])
                with open(self.path.with_name(told["location"]), "rb") as file:
                    file.seek(offset)
                    tensor.raw_data = file.read(length)
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
        self.path.write_bytes(model.SerializeToString())
        for path in self._files:
            path.unlink()
        return 0

    def _place(self, size: int) -> BinaryIO:
        """The file that so many bytes are written to next, at a whole page."""
        if self._file is not None and self._written + size > _CHUNK:
            self._file.close()
            self._file = None
        if self._file is None:
            number = len(self._files)
            suffix = f"_{number}" if number else ""
            self._files.append(self.path.with_name(f"{self.path.name}_data{suffix}"))
            self._file, self._written = self._files[-1].open("wb"), 0
        gap = -self._written % _PAGE
        self._file.write(bytes(gap))
        self._written += gap
        return self._file
