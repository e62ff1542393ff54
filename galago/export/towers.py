"""MobileCLIP's two towers, described once for every format.

Papers: MobileCLIP https://arxiv.org/abs/2311.17049, MobileCLIP2 https://arxiv.org/abs/2508.20691,
CLIP https://arxiv.org/abs/2103.00020.  Names are open_clip's, fused and folded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from galago.checkpoints.names import CLIP_TRUNK, TEXT_BLOCK, VIT_BLOCK
from galago.checkpoints.tensors import Float
from galago.engine.graph.ops import Transformer
from galago.export.trunk import mixer_block, trunk
from galago.export.writer import Get, Writer
from galago.specs import ClipSpec, ClipTextSpec, FastViTSpec, ViTSpec

__all__ = ["TowerWriter", "image_tower", "text_tower"]

V = TypeVar("V")


class TowerWriter(Writer[V], Protocol[V]):
    """What towers need beside what trunks do."""

    def parameter(self, name: str, get: Get) -> V:
        """A tensor as it is, to be added or multiplied with."""
        ...

    def patches(self, x: V, name: str, get: Get, kernel: int, padding: int, *, bias: bool) -> V:
        """A convolution whose windows lie side by side."""
        ...

    def behind(self, first: V, x: V, width: int) -> V:
        """(1, 1, C) and (B, N, C) -> (B, 1 + N, C)"""
        ...

    def token(self, x: V, at: int | V) -> V:
        """(B, N, C) -> (B, C): the one at a place, or at each row's own (B, 1)."""
        ...

    def flat(self, x: V) -> V:
        """(B, C, 1, 1) -> (B, C)"""
        ...

    def beginning(self, x: V, of: V) -> V:
        """The first rows of (context, C), as many as `of` (B, N, C) has tokens."""
        ...

    def lookup(self, name: str, get: Get, ids: V) -> V:
        """Rows of a table: (B, N) -> (B, N, C)"""
        ...

    def end_of(self, ids: V) -> V:
        """Where each row's end token is, (B, 1): it has the highest id."""
        ...

    def causal_attention(self, joint: V, width: int, heads: int, context: int) -> V:
        """As `attention`, but no token sees those behind it."""
        ...

    def row(self, x: V) -> V:
        """(B, N, C) -> a map (B, C, 1, N)"""
        ...

    def from_row(self, x: V) -> V:
        """The inverse."""
        ...

    def projection(self, x: V, name: str, get: Get) -> V:
        """x @ W, with W as it is stored, (C, embed)."""
        ...


def image_tower(g: TowerWriter[V], pixel_values: V, get: Get, spec: ClipSpec) -> V:
    """(B, 3, side, side) -> (B, embed), not normalised."""

    def inner(name: str) -> Float:
        return get(CLIP_TRUNK + name)

    if isinstance(spec.vision, FastViTSpec):
        pooled = g.flat(g.mean(trunk(g, pixel_values, inner, spec.vision)))
        return g.linear(pooled, "head.fc", inner)
    return g.linear(_vit(g, pixel_values, inner, spec.vision), "head", inner)


def text_tower(g: TowerWriter[V], input_ids: V, get: Get, spec: ClipTextSpec) -> V:
    """Ids (B, N), zeros behind the end token -> (B, embed), not normalised.

    Without a causal mask N must be the whole context, as every token sees the padding, too.
    """

    def inner(name: str) -> Float:
        return get(f"text.{name}")

    x = g.lookup("token_embedding", inner, input_ids)
    x = g.add(x, g.beginning(g.parameter("positional_embedding", inner), x))
    first = int(spec.mixers)
    if spec.mixers:
        x = _token_mixer(g, x, "transformer.resblocks.0", inner, spec.width)
    for index in range(first, first + spec.layers):
        names = {part: f"transformer.resblocks.{index}.{name}" for part, name in TEXT_BLOCK.items()}
        x = _block(g, x, inner, spec, names, context=spec.context if spec.causal else 0)
    if spec.mixers:
        x = _token_mixer(g, x, f"transformer.resblocks.{spec.layers + 1}", inner, spec.width)
    x = g.layer_norm(g.token(x, g.end_of(input_ids)), "ln_final", inner, spec.eps)
    return g.projection(x, "text_projection", inner)


def _vit(g: TowerWriter[V], x: V, get: Get, spec: ViTSpec) -> V:
    """The normed class token (B, width)."""
    if spec.stem == "conv":
        for index, (kernel, last) in enumerate(((4, False), (2, False), (2, True))):
            padding = 0 if index else spec.stem_padding
            name = f"patch_embed.backbone.{index}.conv"
            x = g.patches(x, name, get, kernel, padding, bias=True)
            x = x if last else g.gelu(x)
    else:
        x = g.patches(x, "patch_embed.proj", get, spec.patch, 0, bias=not spec.pre_norm)
    tokens = g.tokens(x, spec.width)
    positions = g.parameter("pos_embed", get)
    if not spec.class_position:
        tokens = g.add(tokens, positions)
    tokens = g.behind(g.parameter("cls_token", get), tokens, spec.width)
    if spec.class_position:
        tokens = g.add(tokens, positions)
    if spec.pre_norm:
        tokens = g.layer_norm(tokens, "norm_pre", get, spec.eps)
    for index in range(spec.layers):
        names = {part: f"blocks.{index}.{name}" for part, name in VIT_BLOCK.items()}
        tokens = _block(g, tokens, get, spec, names)
    return g.layer_norm(g.token(tokens, 0), "norm", get, spec.eps)


def _block(
    g: TowerWriter[V], x: V, get: Get, spec: Transformer, names: Mapping[str, str], context: int = 0
) -> V:
    """A pre-norm block with an exact GELU; causal over a context."""
    joint = g.linear(g.layer_norm(x, names["norm1"], get, spec.eps), names["qkv"], get)
    if context:
        mixed = g.causal_attention(joint, spec.width, spec.heads, context)
    else:
        mixed = g.attention(joint, spec.width, spec.heads)
    x = g.add(x, g.linear(mixed, names["proj"], get))
    wide = g.gelu(g.linear(g.layer_norm(x, names["norm2"], get, spec.eps), names["fc1"], get))
    return g.add(x, g.linear(wide, names["fc2"], get))


def _token_mixer(g: TowerWriter[V], x: V, name: str, get: Get, width: int) -> V:
    """FastViT's convolutional block over a row of tokens (B, N, width)."""
    return g.from_row(mixer_block(g, g.row(x), name, get, width))
