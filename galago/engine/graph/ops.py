"""Building blocks shared by the networks: constants, linear layers, norms, attention, rotary.

Each function takes and returns OpenVINO nodes. The CPU plug-in fuses by pattern, so the exact
sequence of nodes matters in rms_norm, rotary, linear and the decoder's attention;
tests/engine/test_qwen2.py and tests/engine/test_fastvit.py look at the compiled graph to hold that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Stored
from galago.engine.runtime import op, ov
from galago.errors import CheckpointError

Node = Any  # openvino.Node and openvino.Output are interchangeable here and untyped upstream

_TYPES = {
    "F32": ov.Type.f32,
    "F16": ov.Type.f16,
    "BF16": ov.Type.bf16,
    "I8": ov.Type.i8,
}


Weights = Mapping[str, Stored]


class Transformer(Protocol):
    """What a transformer block must know of its spec."""

    @property
    def width(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def eps(self) -> float: ...

    @property
    def mlp_ratio(self) -> float: ...


class Under(Mapping[str, Any]):
    """A view of weights whose names lack a common prefix."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        self._weights, self._prefix = weights, prefix

    def __getitem__(self, name: str) -> Any:
        return self._weights[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        start = len(self._prefix)
        return (name[start:] for name in self._weights if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def integers(*values: int) -> Node:
    """An int64 vector (a scalar tensor when one value is wanted: use op.constant)."""
    return op.constant(np.array(values, dtype=np.int64))


def floats(value: npt.ArrayLike) -> Node:
    return op.constant(np.asarray(value, dtype=np.float32))


def raw(stored: Stored, shape: tuple[int, ...] | None = None) -> Node:
    """A constant that shares the tensor's (memory-mapped) bytes, in its own element type."""
    kind = _TYPES.get(stored.dtype)
    if kind is None:
        raise CheckpointError(f"no network is built from tensors of {stored.dtype}")
    return _shared(stored, shape or tuple(stored.shape), kind)


def _shared(stored: Stored, shape: tuple[int, ...], kind: ov.Type) -> Node:
    """The stored bytes as numbers of this kind; CheckpointError when there are more or fewer.

    The engine would read beyond them.
    """
    values = stored.read()
    if 8 * values.nbytes != math.prod(shape) * kind.bitwidth:
        raise CheckpointError(f"{values.nbytes} bytes are no {list(shape)} of {kind.to_string()}")
    return ov.op.Constant(ov.Tensor(values, ov.Shape(list(shape)), kind))


def weight(stored: Stored, x: Node, shape: tuple[int, ...] | None = None) -> Node:
    """A floating-point constant to be used with x, in its element type.

    What has to be converted the plug-in converts once, and keeps beside what it packs: a bf16 file
    takes twice its size in a float32 graph and nothing in a bf16 one. `shape` reads the same bytes
    as another shape, which spares a node in the graph.
    """
    constant, kind = raw(stored, shape), x.get_element_type()
    return constant if constant.get_element_type() == kind else op.convert(constant, kind)


def _int8(stored: Stored, scale: Stored, shape: tuple[int, ...] | None = None) -> Node:
    """Symmetric int8: one scale an output row."""  # (O, I …), (O, 1 …)
    return op.multiply(op.convert(raw(stored, shape), "f32"), raw(scale))


def _narrow(x: Node, span: Stored) -> Node:
    """x on a grid of 256 steps over its range: the form that the plug-in turns into bytes."""
    low, high = (float(end) for end in span.read())
    return op.fake_quantize(x, *(np.float32(end) for end in (low, high, low, high)), 256)


def _int4(packed: Stored, scale: Stored, columns: int) -> Node:
    """Symmetric int4, two to a byte, one scale a group of a row."""  # (O, G, 1)
    rows, groups, _ = scale.shape
    values = _shared(packed, (rows, groups, columns // groups), ov.Type.i4)
    scaled = op.multiply(op.convert(values, "f32"), raw(scale))
    return op.reshape(scaled, integers(rows, columns), special_zero=False)


def linear(x: Node, weights: Weights, name: str, columns: int) -> Node:
    """x @ W.T + b for `name`.weight (float, int8 or packed int4) and an optional `name`.bias."""
    key = f"{name}.weight"
    scale = weights.get(f"{key}.scale")
    shape = weights[key].shape[:2]  # a 1x1 convolution's too
    if scale is None:
        matrix = weight(weights[key], x, shape)
    elif weights[key].dtype == "I8":
        matrix = _int8(weights[key], scale, shape)
    else:
        matrix = _int4(weights[key], scale, columns)
    out = op.matmul(x, matrix, transpose_a=False, transpose_b=True)
    bias = weights.get(f"{name}.bias")
    return out if bias is None else op.add(out, weight(bias, out))


def convolution(x: Node, weights: Weights, name: str, *, stride: int = 1) -> Node:
    """A 2-D convolution with "same" padding for odd kernels and an added bias.

    A weight (C, 1, k, l) is depthwise.
    With a range of its input (`name`.range) and int8 weights the product is computed in 8 bits.
    """
    stored = weights[f"{name}.weight"]
    channels, per_group, *kernel = stored.shape
    pad, window = [size // 2 for size in kernel], [stride, stride]
    if per_group == 1 and max(kernel) > 1:
        matrix = weight(stored, x, (channels, 1, 1, *kernel))
        out = op.group_convolution(x, matrix, window, pad, pad, [1, 1])
    else:
        span = weights.get(f"{name}.range")
        scale = weights.get(f"{name}.weight.scale")
        matrix = weight(stored, x) if scale is None else _int8(stored, scale)
        narrow = x if span is None else _narrow(x, span)
        out = op.convolution(narrow, matrix, window, pad, pad, [1, 1])
        out.set_friendly_name(name)
    return op.add(out, weight(weights[f"{name}.bias"], out, (1, channels, 1, 1)))


def pointwise(x: Node, weights: Weights, name: str) -> Node:
    """A 1x1 convolution of many channels over a small map, as a product over its places.

    Of 6,144 channels at 16 x 16 places the plug-in's convolution takes 115 ms, its product 33 (two
    AVX2 cores). With a range for its input it stays a convolution.
    """
    if f"{name}.range" in weights:
        return convolution(x, weights, name)
    places = op.transpose(x, integers(0, 2, 3, 1))  # as the map lies in memory: nothing moves
    out = linear(places, weights, name, weights[f"{name}.weight"].shape[1])
    return op.transpose(out, integers(0, 3, 1, 2))


def gelu(x: Node) -> Node:
    """The exact (erf) GELU."""
    return op.gelu(x, "erf")


def layer_norm(x: Node, weights: Weights, name: str, eps: float = 1e-5) -> Node:
    """Layer norm over the last axis."""  # (B, N, C)
    normed = op.mvn(x, integers(-1), True, eps, "inside_sqrt")
    scaled = op.multiply(normed, weight(weights[f"{name}.weight"], x))
    return op.add(scaled, weight(weights[f"{name}.bias"], x))


def attention(
    x: Node, weights: Weights, names: tuple[str, str], width: int, heads: int, *, causal: bool
) -> Node:
    """Self-attention by a joint query, key, value layer and an output layer."""  # (B, T, width)
    joint, out = names
    parts = op.split(linear(x, weights, joint, width), op.constant(2), 3)
    query, key, value = (split_heads(parts.output(i), heads, width // heads) for i in range(3))
    mixed = op.scaled_dot_product_attention(query, key, value, causal=causal)
    return linear(merge_heads(mixed, width), weights, out, width)


def transformer_block(
    x: Node, weights: Weights, spec: Transformer, names: Mapping[str, str], *, causal: bool = False
) -> Node:
    """A pre-norm block with an exact GELU; `names` says how the layout calls its six parts."""
    normed = layer_norm(x, weights, names["norm1"], spec.eps)
    joint = (names["qkv"], names["proj"])
    x = op.add(x, attention(normed, weights, joint, spec.width, spec.heads, causal=causal))
    normed = layer_norm(x, weights, names["norm2"], spec.eps)
    wide = gelu(linear(normed, weights, names["fc1"], spec.width))
    return op.add(x, linear(wide, weights, names["fc2"], int(spec.width * spec.mlp_ratio)))


def rms_norm(x: Node, weights: Weights, name: str, eps: float) -> Node:
    """x / sqrt(mean(x^2) + eps) * w over the last axis."""
    mean = op.reduce_mean(op.power(x, floats(2.0)), integers(-1), keep_dims=True)
    inverse = op.power(op.sqrt(op.add(mean, floats(eps))), floats(-1.0))
    return op.multiply(op.multiply(x, inverse), weight(weights[f"{name}.weight"], x))


def split_heads(x: Node, heads: int, head_dim: int) -> Node:
    """(B, T, heads * head_dim) -> (B, heads, T, head_dim)"""
    shaped = op.reshape(x, integers(0, 0, heads, head_dim), special_zero=True)
    return op.transpose(shaped, integers(0, 2, 1, 3))


def merge_heads(x: Node, width: int) -> Node:
    """(B, heads, T, head_dim) -> (B, T, heads * head_dim)"""
    return op.reshape(
        op.transpose(x, integers(0, 2, 1, 3)), integers(0, 0, width), special_zero=True
    )


def rotary(x: Node, cos: Node, sin: Node, head_dim: int) -> Node:
    """Rotary positions, rotate-half form (https://arxiv.org/abs/2104.09864)."""  # (B, h, T, D)
    half = head_dim // 2
    # The plug-in recognises the split on axis 3; the same split on axis -1 stays unfused.
    parts = op.variadic_split(x, op.constant(np.int64(3)), integers(half, half))
    turned = op.concat([op.multiply(parts.output(1), floats(-1.0)), parts.output(0)], axis=-1)
    return op.add(op.multiply(x, cos), op.multiply(turned, sin))


def squeeze_excite(x: Node, weights: Weights, name: str) -> Node:
    """Channel gates from the global mean (https://arxiv.org/abs/1709.01507)."""
    gate = op.reduce_mean(x, integers(2, 3), keep_dims=True)
    gate = op.relu(convolution(gate, weights, f"{name}.reduce"))
    return op.multiply(x, op.sigmoid(convolution(gate, weights, f"{name}.expand")))
