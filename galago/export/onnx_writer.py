"""ONNX behind the operations that networks are described with.

Operators of ai.onnx 21 and of ONNX Runtime's com.microsoft 1, those that onnxruntime-web has
kernels for on WASM and WebGPU: Split with its sizes as an input, MultiHeadAttention (whose scores
are never held as a whole), GroupQueryAttention with the cache, MatMulNBits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from galago.checkpoints.tensors import Array, Float
from galago.engine.quantise import int8_rows
from galago.export.quantise import blocks
from galago.export.tensor_data import TensorData
from galago.export.writer import Get
from galago.version import __version__

__all__ = ["MICROSOFT", "OnnxWriter", "Shape", "Storage"]

MICROSOFT = "com.microsoft"
Shape = list[int | str]  # a name: any length
_OPSET, _IR = 21, 10
_RUN = 64 << 20  # bytes of a matrix that is turned a part at a time
_CACHED = 2 << 20  # and of one that is quantised: what stays in a processor's cache, twice as quick
_LARGE = 2048  # numbers of a weight from which on int8 pays


@dataclass(frozen=True)
class Storage:
    """How a graph computes and stores.

    `half`: in float16, but in float32 from the point marked `wide_from` on.  `int8`: large weights
    as int8 with one scale a row, widened in the graph, which programs do once when they load it.
    `bits`: of the decoder's matrices, in blocks of `block` (MatMulNBits).
    """

    half: bool = False
    int8: bool = False
    bits: int | None = None
    block: int = 32
    wide_from: str | None = None


class OnnxWriter:
    """A graph being written.  Values are names."""

    def __init__(self, name: str, data: TensorData, storage: Storage) -> None:
        self._name, self._data, self._storage = name, data, storage
        self._half, self._stage = storage.half, name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    # -- the graph ---------------------------------------------------------------------------------

    @property
    def kind(self) -> int:
        """ONNX's number for what is computed in."""
        return int(TensorProto.FLOAT16 if self._half else TensorProto.FLOAT)

    @property
    def narrow(self) -> bool:
        """Whether large weights are stored in int8."""
        return self._storage.int8 and not self._half

    def input(self, name: str, kind: int, shape: Shape) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, x: str, name: str, kind: int, shape: Shape) -> None:
        if x != name:
            self._nodes.append(helper.make_node("Identity", [x], [name], name=f"{name}.out"))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def node(
        self,
        op: str,
        *inputs: str,
        outputs: Sequence[str] | int = 1,
        domain: str = "",
        **values: object,
    ) -> list[str]:
        """Any operator; names of its outputs, made up when only their number is told."""
        self._count += 1
        if isinstance(outputs, int):
            outputs = [f"{op}_{self._count}_{index}" for index in range(outputs)]
        name = f"{self._stage}/{op}_{self._count}"
        made = helper.make_node(op, list(inputs), list(outputs), name, domain=domain)
        made.attribute.extend(helper.make_attribute(key, value) for key, value in values.items())
        self._nodes.append(made)
        return list(outputs)

    def one(self, op: str, *inputs: str, domain: str = "", **values: Any) -> str:
        """An operator with one output."""
        return self.node(op, *inputs, domain=domain, **values)[0]

    def constant(self, name: str, array: Array) -> str:
        """A tensor in its own type; one of the same name is stored once."""
        if name not in self._constants:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            self._constants[name] = self._data.add(name, kind, array.shape, [array])
        return name

    def integers(self, *values: int) -> str:
        return self.constant("int_" + "_".join(map(str, values)), np.array(values, np.int64))

    def scalar(self, value: int) -> str:
        return self.constant(f"int_scalar_{value}", np.array(value, np.int64))

    def cast(self, x: str, kind: int) -> str:
        return self.one("Cast", x, to=kind)

    def stream(self, name: str, kind: int, shape: tuple[int, ...], runs: Iterable[Array]) -> str:
        """A tensor whose numbers come a part at a time."""
        self._constants[name] = self._data.add(name, kind, shape, runs)
        return name

    def begin(self, x: str) -> str:
        """A float32 input, in the type that is computed in."""
        return self.cast(x, self.kind) if self._half else x

    def end(self, x: str) -> str:
        """What was computed, in float32."""
        return self.cast(x, TensorProto.FLOAT) if self._half else x

    def save(self) -> int:
        """As TensorData.save."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", _OPSET),
                helper.make_opsetid(MICROSOFT, 1),
            ],
            producer_name="galago",
            producer_version=__version__,
            ir_version=_IR,
        )
        return self._data.save(model)

    # -- weights -----------------------------------------------------------------------------------

    def weight(self, name: str, array: Float, *, whole: bool = False) -> str:
        """A weight in the type that is computed in, stored as was told, or `whole`."""
        if self._half:
            return self.constant(f"{name}.half", array.astype(np.float16))
        if whole or not self._storage.int8 or array.ndim < 2 or array.size <= _LARGE:
            return self.constant(name, np.ascontiguousarray(array, np.float32))
        rows = len(array)
        values, scale = int8_rows(array.reshape(rows, -1))
        scale = scale.reshape(rows, *[1] * (array.ndim - 1))
        return self._widened(name, values.reshape(array.shape), scale)

    def _widened(self, name: str, values: Array, scale: Float) -> str:
        if (wide := f"{name}.wide") not in {node.output[0] for node in self._nodes}:
            narrow = self.cast(self.constant(f"{name}.int8", values), TensorProto.FLOAT)
            self.node("Mul", narrow, self.constant(f"{name}.scale", scale), outputs=[wide])
        return wide

    def matrix(self, name: str, array: Float) -> str:
        """W of x @ W.T, (O, I), as (I, O)."""
        if not self._half and self._storage.int8 and array.size > _LARGE:
            values, scale = zip(*(int8_rows(rows) for rows in _pieces(array, _CACHED)), strict=True)
            narrow = np.ascontiguousarray(np.concatenate(values).T)
            return self._widened(name, narrow, np.concatenate(scale).reshape(1, -1))
        name = f"{name}.half" if self._half else name
        if name in self._constants:
            return name
        # A run of columns at a time: a vocabulary's matrix has gigabytes as float32.
        columns = (piece.T for piece in _pieces(array, _RUN, axis=1))
        return self.stream(name, self.kind, array.T.shape, columns)

    # -- trunks ------------------------------------------------------------------------------------

    def convolution(self, x: str, name: str, get: Get, *, stride: int = 1, groups: int = 1) -> str:
        weight = get(f"{name}.weight")
        kernel = list(weight.shape[2:])
        return self.one(
            "Conv",
            x,
            self.weight(f"{name}.weight", weight),
            self.weight(f"{name}.bias", get(f"{name}.bias")),
            kernel_shape=kernel,
            strides=[stride] * 2,
            pads=[size // 2 for size in kernel] * 2,
            group=groups,
        )

    def linear(self, x: str, name: str, get: Get, *, bias: bool = True) -> str:
        out = self.one("MatMul", x, self.matrix(f"{name}.weight", get(f"{name}.weight")))
        if not bias:
            return out
        return self.one("Add", out, self.weight(f"{name}.bias", get(f"{name}.bias")))

    def layer_norm(self, x: str, name: str, get: Get, eps: float) -> str:
        gain, shift = (self.weight(f"{name}.{part}", get(f"{name}.{part}")) for part in _PARTS)
        return self.one("LayerNormalization", x, gain, shift, axis=-1, epsilon=eps)

    def add(self, x: str, y: str) -> str:
        return self.one("Add", x, y)

    def multiply(self, x: str, y: str) -> str:
        return self.one("Mul", x, y)

    def gelu(self, x: str) -> str:
        return self.one("Gelu", x)

    def relu(self, x: str) -> str:
        return self.one("Relu", x)

    def sigmoid(self, x: str) -> str:
        return self.one("Sigmoid", x)

    def mean(self, x: str) -> str:
        return self.one("GlobalAveragePool", x)

    def tokens(self, x: str, channels: int) -> str:
        rows = self.one("Reshape", x, self.integers(0, channels, -1))
        return self.one("Transpose", rows, perm=[0, 2, 1])

    def map_like(self, x: str, like: str) -> str:
        return self.one(
            "Reshape", self.one("Transpose", x, perm=[0, 2, 1]), self.one("Shape", like)
        )

    def attention(self, joint: str, width: int, heads: int) -> str:
        sizes = self.integers(width, width, width)
        query, key, value = self.node("Split", joint, sizes, outputs=3, axis=-1)
        return self.one("MultiHeadAttention", query, key, value, domain=MICROSOFT, num_heads=heads)

    def mark(self, name: str, x: str) -> str:
        self._stage = name
        if name == self._storage.wide_from and self._half:
            self._half = False
            return self.cast(x, TensorProto.FLOAT)
        return x

    # -- decoders ----------------------------------------------------------------------------------

    def rms_norm(self, x: str, name: str, get: Get, eps: float) -> str:
        gain = self.weight(f"{name}.weight", get(f"{name}.weight"))
        return self.one("SimplifiedLayerNormalization", x, gain, axis=-1, epsilon=eps, stash_type=1)

    def add_rms_norm(self, x: str, y: str, name: str, get: Get, eps: float) -> tuple[str, str]:
        gain = self.weight(f"{name}.weight", get(f"{name}.weight"))
        outputs = [f"{name}.normed", "", "", f"{name}.sum"]
        self.node(
            "SkipSimplifiedLayerNormalization",
            *(x, y, gain),
            outputs=outputs,
            domain=MICROSOFT,
            epsilon=eps,
        )
        return outputs[0], outputs[3]

    def product(
        self, x: str, names: Sequence[str], get: Get, *, bias: bool, bits: int | None
    ) -> str:
        few = (bits or self._storage.bits) if self._storage.bits else None
        joined = "+".join(names)
        if few is None:
            parts = [get(f"{name}.weight") for name in names]
            matrix = parts[0] if len(parts) == 1 else np.concatenate(parts)
            out = self.one("MatMul", x, self.matrix(f"{joined}.weight", matrix))
        else:
            out = self._few_bits(x, joined, [get(f"{name}.weight") for name in names], few)
        if not bias:
            return out
        whole = np.concatenate([get(f"{name}.bias") for name in names])
        return self.one("Add", out, self.weight(f"{joined}.bias", whole))

    def _few_bits(self, x: str, name: str, matrices: Sequence[Float], bits: int) -> str:
        size, columns = self._storage.block, matrices[0].shape[1]
        rows, count = sum(map(len, matrices)), -(-columns // size)

        def runs() -> Iterator[tuple[Array, Float]]:
            for matrix in matrices:
                yield from (blocks(rows, bits, size) for rows in _pieces(matrix, _CACHED))

        scales: list[Float] = []

        def values() -> Iterator[Array]:
            for few, scale in runs():
                scales.append(scale)
                yield few

        shape = (rows, count, size * bits // 8)
        packed = self.stream(f"{name}.q{bits}", TensorProto.UINT8, shape, values())
        scale = self.weight(f"{name}.scales", np.concatenate(scales), whole=True)
        return self.one(
            *("MatMulNBits", x, packed, scale),
            domain=MICROSOFT,
            K=columns,
            N=rows,
            bits=bits,
            block_size=size,
            accuracy_level=4,
        )

    def swish(self, x: str) -> str:
        return self.one("Mul", x, self.one("Sigmoid", x))

    def last(self, x: str) -> str:
        ends = self.integers(-1), self.integers(2**63 - 1), self.integers(1)
        return self.one("Slice", x, *ends)


_PARTS = ("weight", "bias")


def _pieces(matrix: Float, run: int, axis: int = 0) -> list[Float]:
    """Views of a matrix, cut along `axis` into runs of so many bytes."""
    count = -(-matrix.nbytes // run)
    return np.array_split(matrix, min(count, matrix.shape[axis]), axis)
