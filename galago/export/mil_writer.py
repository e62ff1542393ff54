"""Core ML's MIL behind the operations that networks are described with, by coremltools' builder.

A program has a batch of one and a fixed square, as Core ML's engines like it; a decoder's lengths
are free.  Ranks stay at 5 and below.  Format: coremltools' reference of MIL operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galago.checkpoints.tensors import Array, Float
from galago.engine.coreml import mb, types
from galago.engine.quantise import group_size, int4_groups, int8_rows
from galago.export.writer import Get
from galago.specs import Qwen2Spec

__all__ = ["LAST", "DecoderMil", "MilWriter", "few_bits"]

Var = Any  # a Var of MIL
LAST = "last_token"  # the variable behind which a decoder looks at its newest token alone
_BLOCK = 32  # weights that share a scale in int4


def few_bits(matrix: Float, bits: int) -> Var:
    """(O, I) in int8 with a scale a row, or int4 with one for 32 weights, widened where it is used.

    float16.  A row that no group of 16 or more divides stays in int8.
    """
    group = group_size(matrix.shape[1], _BLOCK) if bits == 4 else 0
    if not group:
        values, scale = int8_rows(matrix)
        return mb.constexpr_blockwise_shift_scale(data=values, scale=scale.astype(np.float16))
    packed, scale = int4_groups(matrix, group)
    values = np.empty(matrix.shape, np.int8)
    values[:, 0::2] = ((packed & 15) ^ 8).astype(np.int8) - 8  # the sign is the highest bit
    values[:, 1::2] = ((packed >> 4) ^ 8).astype(np.int8) - 8
    return mb.constexpr_blockwise_shift_scale(
        data=values.astype(types.np_int4_dtype), scale=scale[..., 0].astype(np.float16)
    )


class MilWriter:
    """A function being written; to be used while it is open.  Values are MIL's variables."""

    kind: type[np.floating[Any]] = np.float32  # of weights and results

    def weight(self, array: Array) -> Array:
        return np.ascontiguousarray(array, self.kind)

    # -- trunks ------------------------------------------------------------------------------------

    def convolution(self, x: Var, name: str, get: Get, *, stride: int = 1, groups: int = 1) -> Var:
        weight = get(f"{name}.weight")
        pad = [size // 2 for size in weight.shape[2:] for _ in range(2)]
        return self.windows(x, weight, get(f"{name}.bias"), stride, pad, groups)

    def windows(
        self, x: Var, weight: Float, bias: Float | None, stride: int, pad: list[int], groups: int
    ) -> Var:
        """A convolution; `pad`: above, below, left, right."""
        shift = {} if bias is None else {"bias": self.weight(bias)}
        return mb.conv(
            x=x,
            weight=self.weight(weight),
            strides=[stride] * 2,
            pad_type="custom",
            pad=pad,
            groups=groups,
            **shift,
        )

    def linear(self, x: Var, name: str, get: Get, *, bias: bool = True) -> Var:
        shift = {"bias": self.weight(get(f"{name}.bias"))} if bias else {}
        return mb.linear(x=x, weight=self.weight(get(f"{name}.weight")), **shift)

    def layer_norm(self, x: Var, name: str, get: Get, eps: float) -> Var:
        gain, shift = (self.weight(get(f"{name}.{part}")) for part in ("weight", "bias"))
        return mb.layer_norm(x=x, axes=[-1], gamma=gain, beta=shift, epsilon=self.kind(eps))

    def add(self, x: Var, y: Var) -> Var:
        return mb.add(x=x, y=y)

    def multiply(self, x: Var, y: Var) -> Var:
        return mb.mul(x=x, y=y)

    def gelu(self, x: Var) -> Var:
        return mb.gelu(x=x, mode="EXACT")

    def relu(self, x: Var) -> Var:
        return mb.relu(x=x)

    def sigmoid(self, x: Var) -> Var:
        return mb.sigmoid(x=x)

    def mean(self, x: Var) -> Var:
        return mb.reduce_mean(x=x, axes=[2, 3], keep_dims=True)

    def tokens(self, x: Var, channels: int) -> Var:
        count = x.shape[2] * x.shape[3]
        return mb.transpose(x=mb.reshape(x=x, shape=[1, channels, count]), perm=[0, 2, 1])

    def map_like(self, x: Var, like: Var) -> Var:
        return mb.reshape(x=mb.transpose(x=x, perm=[0, 2, 1]), shape=list(like.shape))

    def attention(self, joint: Var, width: int, heads: int, mask: Array | None = None) -> Var:
        """`mask` (N, N) is added to the scores."""
        count, dim = joint.shape[1], width // heads
        rows = mb.reshape(x=joint, shape=[count, 3 * heads, dim])
        rows = mb.transpose(x=rows, perm=[1, 0, 2])  # (3 heads, N, dim)
        query, key, value = mb.split(x=rows, num_splits=3, axis=0)
        scores = mb.matmul(
            x=mb.mul(x=query, y=self.kind(dim**-0.5)), y=key, transpose_x=False, transpose_y=True
        )
        if mask is not None:
            scores = mb.add(x=scores, y=mask)
        mixed = mb.matmul(x=mb.softmax(x=scores, axis=-1), y=value)
        return mb.reshape(x=mb.transpose(x=mixed, perm=[1, 0, 2]), shape=[1, count, width])

    def mark(self, name: str, x: Var) -> Var:
        return x

    # -- towers ------------------------------------------------------------------------------------

    def parameter(self, name: str, get: Get) -> Var:
        return mb.const(val=self.weight(get(name)))

    def patches(self, x: Var, name: str, get: Get, kernel: int, padding: int, *, bias: bool) -> Var:
        shift = get(f"{name}.bias") if bias else None
        return self.windows(x, get(f"{name}.weight"), shift, kernel, [padding] * 4, 1)

    def behind(self, first: Var, x: Var, width: int) -> Var:
        return mb.concat(values=[mb.reshape(x=first, shape=[1, 1, width]), x], axis=1)

    def token(self, x: Var, at: int | Var) -> Var:
        """`at`: a place, or the one of the single row as (1,)."""
        places = np.array([at], np.int32) if isinstance(at, int) else at
        return mb.squeeze(x=mb.gather(x=x, indices=places, axis=1), axes=[1])

    def flat(self, x: Var) -> Var:
        return mb.squeeze(x=x, axes=[2, 3])

    def beginning(self, x: Var, of: Var) -> Var:
        return mb.slice_by_index(x=x, begin=[0, 0], end=[of.shape[1], x.shape[1]])

    def lookup(self, name: str, get: Get, ids: Var) -> Var:
        return mb.gather(x=self.weight(get(f"{name}.weight")), indices=ids, axis=0)

    def end_of(self, ids: Var) -> Var:
        return mb.reduce_argmax(x=ids, axis=1, keep_dims=False)

    def causal_attention(self, joint: Var, width: int, heads: int, context: int) -> Var:
        count = joint.shape[1]
        hidden = self.weight(np.triu(np.full((count, count), -1e4, np.float32), 1))
        return self.attention(joint, width, heads, hidden)

    def row(self, x: Var) -> Var:
        return mb.expand_dims(x=mb.transpose(x=x, perm=[0, 2, 1]), axes=[2])

    def from_row(self, x: Var) -> Var:
        return mb.transpose(x=mb.squeeze(x=x, axes=[2]), perm=[0, 2, 1])

    def projection(self, x: Var, name: str, get: Get) -> Var:
        return mb.linear(x=x, weight=self.weight(np.ascontiguousarray(get(name).T)))


class DecoderMil(MilWriter):
    """A decoder in float16, with norms in float32, over keys and values that Core ML keeps.

    T new tokens, S with those before, G heads that share a key.
    """

    kind = np.float16

    def __init__(
        self, spec: Qwen2Spec, mask: Var, states: tuple[Var, Var], bits: int | None
    ) -> None:
        """`mask` (1, 1, T, S), added to the scores; `states`: of keys and of values (layers,
        kv_heads, context, head_dim); `bits`: of matrices, None for float16."""
        self._spec, self._mask, self._states, self._bits = spec, mask, states, bits
        # A state is read once, and what an update gives is passed on: equal reads are merged, and
        # a later layer would see the cache before the update.
        self._held: list[Var | None] = [None, None]
        shape = mb.shape(x=mask)
        self._new, self._end = (
            mb.gather(x=shape, indices=np.array([at], np.int32), axis=0) for at in (2, 3)
        )
        self._start = mb.sub(x=self._end, y=self._new)
        self._turns = self._rotary(states[0].shape[2])
        group = spec.heads // spec.kv_heads
        self._wide_mask = mb.tile(x=mask, reps=[1, 1, group, 1])  # (1, 1, G T, S)

    def rms_norm(self, x: Var, name: str, get: Get, eps: float) -> Var:
        """In float32: squares leave float16."""
        wide = mb.cast(x=x, dtype="fp32")
        mean = mb.reduce_mean(x=mb.mul(x=wide, y=wide), axes=[-1], keep_dims=True)
        normed = mb.mul(x=wide, y=mb.rsqrt(x=mean, epsilon=np.float32(eps)))
        gain = get(f"{name}.weight").astype(np.float32)
        return mb.cast(x=mb.mul(x=normed, y=gain), dtype="fp16")

    def add_rms_norm(self, x: Var, y: Var, name: str, get: Get, eps: float) -> tuple[Var, Var]:
        total = mb.add(x=x, y=y)
        return self.rms_norm(total, name, get, eps), total

    def product(
        self, x: Var, names: Sequence[str], get: Get, *, bias: bool, bits: int | None
    ) -> Var:
        few = bits or self._bits
        matrix = np.concatenate([get(f"{name}.weight") for name in names])
        weight = few_bits(matrix, few) if few else self.weight(matrix)
        shift = {}
        if bias:
            shift["bias"] = self.weight(np.concatenate([get(f"{name}.bias") for name in names]))
        return mb.linear(x=x, weight=weight, **shift)

    def cached_attention(self, joint: Var, layer: int) -> Var:
        spec = self._spec
        dim, group = spec.head_dim, spec.heads // spec.kv_heads
        sizes = [spec.heads * dim, spec.kv_heads * dim, spec.kv_heads * dim]
        query, key, value = mb.split(x=joint, split_sizes=sizes, axis=-1)
        query = self._turned(self._heads(query, spec.heads))
        key, value = (
            self._turned(self._heads(key, spec.kv_heads)),
            self._heads(value, spec.kv_heads),
        )
        keys, values = (self._kept(at, layer, new) for at, new in enumerate((key, value)))
        # The queries of a key side by side, so that no key is copied for them.
        shape = self._vector(1, spec.kv_heads, -1, dim)
        mixed = mb.scaled_dot_product_attention(
            query=mb.reshape(x=query, shape=shape),
            key=keys,
            value=values,
            attn_mask=self._wide_mask,
        )
        mixed = mb.reshape(x=mixed, shape=self._vector(1, spec.kv_heads * group, self._new, dim))
        mixed = mb.transpose(x=mixed, perm=[0, 2, 1, 3])
        return mb.reshape(x=mixed, shape=self._vector(1, self._new, spec.heads * dim))

    def swish(self, x: Var) -> Var:
        return mb.silu(x=x)

    def last(self, x: Var) -> Var:
        return mb.slice_by_index(
            x=x,
            begin=[0, -1, 0],
            end=[1, 0, x.shape[2]],
            begin_mask=[True, False, True],
            end_mask=[True, True, True],
            name=LAST,
        )

    def _heads(self, x: Var, heads: int) -> Var:
        """(1, T, heads * dim) -> (1, heads, T, dim)"""
        shape = self._vector(1, self._new, heads, self._spec.head_dim)
        return mb.transpose(x=mb.reshape(x=x, shape=shape), perm=[0, 2, 1, 3])

    def _kept(self, at: int, layer: int, new: Var) -> Var:
        """The new keys or values put into the state -> (1, kv_heads, S, dim), all of this layer."""
        heads, dim = self._spec.kv_heads, self._spec.head_dim
        state = self._states[at]
        held = self._held[at]
        if held is None:
            held = mb.read_state(input=state)
        updated = mb.slice_update(
            x=held,
            update=new,
            begin=self._vector(layer, 0, self._start, 0),
            end=self._vector(layer + 1, heads, self._end, dim),
        )
        held = self._held[at] = mb.coreml_update_state(state=state, value=updated)
        return mb.slice_by_index(
            x=held,
            begin=[layer, 0, 0, 0],
            end=self._vector(layer + 1, heads, self._end, dim),
        )

    def _rotary(self, context: int) -> tuple[Var, Var]:
        """Cosines and sines of the new places, (T, dim)."""
        half = self._spec.head_dim // 2
        turns = self._spec.rope_theta ** (-np.arange(half, dtype=np.float64) / half)
        angles = np.outer(np.arange(context), np.concatenate([turns, turns]))
        begin = self._vector(self._start, 0)
        end = self._vector(self._end, 2 * half)
        cos, sin = (
            mb.slice_by_index(x=self.weight(table(angles)), begin=begin, end=end)
            for table in (np.cos, np.sin)
        )
        return cos, sin

    def _turned(self, x: Var) -> Var:
        """Rotary positions (https://arxiv.org/abs/2104.09864), halves paired."""
        cos, sin = self._turns
        first, second = mb.split(x=x, num_splits=2, axis=-1)
        other = mb.concat(values=[mb.mul(x=second, y=self.kind(-1)), first], axis=-1)
        return mb.add(x=mb.mul(x=x, y=cos), y=mb.mul(x=other, y=sin))

    def _vector(self, *values: int | Var) -> Var:
        parts = [np.array([one], np.int32) if isinstance(one, int) else one for one in values]
        return mb.concat(values=parts, axis=0)
