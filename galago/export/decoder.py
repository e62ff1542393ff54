"""The Qwen2 decoder (https://arxiv.org/abs/2407.10671), described once for every format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from galago.export.writer import Get, Writer
from galago.specs import Qwen2Spec

__all__ = ["DecoderWriter", "decoder"]

V = TypeVar("V")


class DecoderWriter(Writer[V], Protocol[V]):
    """What a decoder needs beside what trunks do.  T new tokens, S of the cache and them."""

    def rms_norm(self, x: V, name: str, get: Get, eps: float) -> V:
        """x / sqrt(mean(x^2) + eps) * `name`.weight over the last axis."""
        ...

    def add_rms_norm(self, x: V, y: V, name: str, get: Get, eps: float) -> tuple[V, V]:
        """The norm of x + y, and x + y."""
        ...

    def product(self, x: V, names: Sequence[str], get: Get, *, bias: bool, bits: int | None) -> V:
        """x @ W.T over the last axis, the results of several matrices side by side.

        `bits`: of the stored weights, where the writer stores them in few; None: as it was told.
        """
        ...

    def cached_attention(self, joint: V, layer: int) -> V:
        """(B, T, (heads + 2 * kv_heads) * head_dim) -> (B, T, heads * head_dim).

        Queries, keys and values with rotary positions, causal, over the cache of this layer, to
        which the new keys and values are added.
        """
        ...

    def swish(self, x: V) -> V: ...

    def last(self, x: V) -> V:
        """(B, T, C) -> (B, 1, C), the newest token."""
        ...


def decoder(
    g: DecoderWriter[V], inputs_embeds: V, get: Get, spec: Qwen2Spec, *, head: str, head_bits: int
) -> V:
    """Embeddings (B, T, hidden) -> logits (B, 1, vocab) of the last token.

    `head`: the tensor that is multiplied with in the end, without ".weight".  Its bits are told,
    as it decides between neighbouring words.
    """
    x, eps = inputs_embeds, spec.rms_eps
    normed = g.rms_norm(x, "model.layers.0.input_layernorm", get, eps)
    for index in range(spec.layers):
        name = f"model.layers.{index}"
        heads = [f"{name}.self_attn.{part}_proj" for part in "qkv"]
        mixed = g.cached_attention(g.product(normed, heads, get, bias=True, bits=None), index)
        mixed = g.product(mixed, [f"{name}.self_attn.o_proj"], get, bias=False, bits=None)
        normed, x = g.add_rms_norm(x, mixed, f"{name}.post_attention_layernorm", get, eps)
        gate, up = (
            g.product(normed, [f"{name}.mlp.{part}_proj"], get, bias=False, bits=None)
            for part in ("gate", "up")
        )
        wide = g.multiply(g.swish(gate), up)
        narrow = g.product(wide, [f"{name}.mlp.down_proj"], get, bias=False, bits=None)
        end = index == spec.layers - 1
        after = "model.norm" if end else f"model.layers.{index + 1}.input_layernorm"
        normed, x = g.add_rms_norm(x, narrow, after, get, eps)
    return g.product(g.last(normed), [head], get, bias=False, bits=head_bits)
