"""The field's towers as OpenVINO graphs, of the same building blocks as galago's own networks.

So a rival and FastVLM differ in their layers alone, not in who wrote the graph.
"""

from __future__ import annotations

import numpy as np

from galago.bench.field.towers import ConvNeXt, Plain, Tower, ViTamin
from galago.checkpoints.names import VIT_BLOCK
from galago.engine.graph import fastvit, ops
from galago.engine.graph.ops import Node, Weights
from galago.engine.runtime import op, ov
from galago.specs import FastViTSpec

__all__ = ["build"]


def build(weights: Weights, tower: Tower) -> ov.Model:
    """pixel_values float32 (B, 3, H, W) -> features float32: what the tower hands on.

    Tokens (B, N, width) of a transformer, or (B, width) of one with a pool; a map (B, C, h, w) of
    convolutions. `weights` have the names of towers.shapes, a FastViT's those of folded ones.
    """
    pixels = op.parameter(ov.PartialShape([-1, 3, -1, -1]), ov.Type.f32, name="pixel_values")
    pixels.output(0).set_names({"pixel_values"})
    if isinstance(tower, FastViTSpec):
        out = fastvit.in_order(fastvit.trunk(pixels, weights, tower), tower, 1)
    elif isinstance(tower, Plain):
        out = _plain(pixels, weights, tower)
    elif isinstance(tower, ConvNeXt):
        out = _convnext(pixels, weights, tower)
    else:
        out = _vitamin(pixels, weights, tower)
    return ov.Model([op.result(out)], [pixels], "tower")


def _convolution(x: Node, weights: Weights, name: str, step: int, pad: int) -> Node:
    """`ops.convolution` pads to "same"; patches and downsampling layers don't."""
    kernel, by, edge = ops.weight(weights[f"{name}.weight"], x), [step] * 2, [pad] * 2
    out = op.convolution(x, kernel, by, edge, edge, [1, 1])
    bias = weights.get(f"{name}.bias")
    return out if bias is None else op.add(out, ops.weight(bias, out, (1, *bias.shape, 1, 1)))


def _rows(x: Node, width: int) -> Node:
    """A map (B, width, h, w) -> tokens (B, N, width)"""
    flat = op.reshape(x, ops.integers(0, width, -1), special_zero=True)
    return op.transpose(flat, ops.integers(0, 2, 1))


def _map_norm(x: Node, weights: Weights, name: str, eps: float = 1e-6) -> Node:
    """Layer norm over the channels of a map."""
    last = op.transpose(x, ops.integers(0, 2, 3, 1))
    return op.transpose(ops.layer_norm(last, weights, name, eps), ops.integers(0, 3, 1, 2))


# -- plain transformers ----------------------------------------------------------------------------


def _plain(pixels: Node, weights: Weights, tower: Plain) -> Node:
    out = _convolution(pixels, weights, "patch_embed.proj", tower.patch, 0)
    out = _rows(out, tower.width)
    if tower.class_token:
        first = ops.weight(weights["cls_token"], out)
        batch = op.gather(op.shape_of(pixels), ops.integers(0), op.constant(np.int64(0)))
        shape = op.concat([batch, ops.integers(1, tower.width)], axis=0)
        out = op.concat([op.broadcast(first, shape), out], axis=1)
    out = op.add(out, ops.weight(weights["pos_embed"], out))
    if tower.pre_norm:
        out = ops.layer_norm(out, weights, "norm_pre", tower.eps)
    for index in range(tower.layers):
        out = _block(out, weights, tower, f"blocks.{index}")
    out = ops.layer_norm(out, weights, "norm", tower.eps)
    return _pool(out, weights, tower) if tower.pooled else out


def _block(x: Node, weights: Weights, tower: Plain, block: str) -> Node:
    names = {part: f"{block}.{name}" for part, name in VIT_BLOCK.items()}
    normed = ops.layer_norm(x, weights, names["norm1"], tower.eps)
    mixed = _self_attention(normed, weights, f"{block}.attn", tower.width, tower.heads)
    x = op.add(x, _scaled(mixed, weights, f"{block}.ls1.gamma"))
    normed = ops.layer_norm(x, weights, names["norm2"], tower.eps)
    wide = ops.gelu(ops.linear(normed, weights, names["fc1"], tower.width))
    out = ops.linear(wide, weights, names["fc2"], tower.hidden)
    return op.add(x, _scaled(out, weights, f"{block}.ls2.gamma"))


def _self_attention(x: Node, weights: Weights, name: str, width: int, heads: int) -> Node:
    return ops.attention(x, weights, (f"{name}.qkv", f"{name}.proj"), width, heads, causal=False)


def _scaled(x: Node, weights: Weights, name: str) -> Node:
    gamma = weights.get(name)
    return x if gamma is None else op.multiply(x, ops.weight(gamma, x))


def _pool(x: Node, weights: Weights, tower: Plain) -> Node:
    """One learned query looks at all tokens; then a block's MLP. (B, N, width) -> (B, width)"""
    width, dim = tower.width, tower.width // tower.heads
    query = ops.linear(ops.weight(weights["attn_pool.latent"], x), weights, "attn_pool.q", width)
    batch = op.gather(op.shape_of(x), ops.integers(0), op.constant(np.int64(0)))
    query = op.broadcast(query, op.concat([batch, ops.integers(1, width)], axis=0))
    pair = op.split(ops.linear(x, weights, "attn_pool.kv", width), op.constant(2), 2)
    key, value = (ops.split_heads(pair.output(index), tower.heads, dim) for index in range(2))
    mixed = op.scaled_dot_product_attention(ops.split_heads(query, tower.heads, dim), key, value)
    out = ops.linear(ops.merge_heads(mixed, width), weights, "attn_pool.proj", width)
    normed = ops.layer_norm(out, weights, "attn_pool.norm", tower.eps)
    wide = ops.gelu(ops.linear(normed, weights, "attn_pool.mlp.fc1", width))
    out = op.add(out, ops.linear(wide, weights, "attn_pool.mlp.fc2", tower.hidden))
    return op.squeeze(out, op.constant(np.int64(1)))


# -- ConvNeXt --------------------------------------------------------------------------------------


def _convnext(x: Node, weights: Weights, tower: ConvNeXt) -> Node:
    x = _map_norm(_convolution(x, weights, "stem.0", 4, 0), weights, "stem.1")
    for stage, (depth, width) in enumerate(zip(tower.depths, tower.widths, strict=True)):
        name = f"stages.{stage}"
        if stage:
            x = _map_norm(x, weights, f"{name}.downsample.0")
            x = _convolution(x, weights, f"{name}.downsample.1", 2, 0)
        for index in range(depth):
            x = _convnext_block(x, weights, f"{name}.blocks.{index}", width)
    return x


def _convnext_block(x: Node, weights: Weights, block: str, width: int) -> Node:
    out = op.transpose(ops.convolution(x, weights, f"{block}.conv_dw"), ops.integers(0, 2, 3, 1))
    out = ops.layer_norm(out, weights, f"{block}.norm", 1e-6)
    out = ops.gelu(ops.linear(out, weights, f"{block}.mlp.fc1", width))
    out = ops.linear(out, weights, f"{block}.mlp.fc2", 4 * width)
    out = _scaled(out, weights, f"{block}.gamma")
    return op.add(x, op.transpose(out, ops.integers(0, 3, 1, 2)))


# -- ViTamin ---------------------------------------------------------------------------------------


def _vitamin(x: Node, weights: Weights, tower: ViTamin) -> Node:
    net = "patch_embed.backbone"
    x = _convolution(x, weights, f"{net}.stem.conv1", 2, 1)
    x = ops.gelu(_map_norm(x, weights, f"{net}.stem.norm1"))
    x = ops.convolution(x, weights, f"{net}.stem.conv2")
    for stage, depth in enumerate(tower.depths):
        for index in range(depth):
            x = _mbconv(x, weights, f"{net}.stages.{stage}.{index}", first=index == 0)
    x = _map_norm(x, weights, f"{net}.pool.norm")
    x = _rows(_convolution(x, weights, f"{net}.pool.proj", 2, 1), tower.width)
    x = op.add(x, ops.weight(weights["pos_embed"], x))
    for index in range(tower.layers):
        x = _gated_block(x, weights, tower, f"blocks.{index}")
    return ops.layer_norm(op.reduce_mean(x, ops.integers(1)), weights, "fc_norm", 1e-6)


def _mbconv(x: Node, weights: Weights, block: str, *, first: bool) -> Node:
    step = 2 if first else 1
    short = x
    if first:
        short = op.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], True)  # edges are no zeros
        if f"{block}.shortcut.expand.weight" in weights:
            short = ops.convolution(short, weights, f"{block}.shortcut.expand")
    out = _map_norm(x, weights, f"{block}.pre_norm")
    out = ops.gelu(ops.convolution(out, weights, f"{block}.conv1_1x1"))
    out = ops.gelu(ops.convolution(out, weights, f"{block}.conv2_kxk", stride=step))
    return op.add(ops.convolution(out, weights, f"{block}.conv3_1x1"), short)


def _gated_block(x: Node, weights: Weights, tower: ViTamin, block: str) -> Node:
    width = tower.width
    normed = ops.layer_norm(x, weights, f"{block}.norm1", 1e-6)
    x = op.add(x, _self_attention(normed, weights, f"{block}.attn", width, tower.heads))
    normed = ops.layer_norm(x, weights, f"{block}.norm2", 1e-6)
    normed = ops.layer_norm(normed, weights, f"{block}.mlp.norm", 1e-6)
    gate = ops.gelu(ops.linear(normed, weights, f"{block}.mlp.w0", width))
    wide = op.multiply(gate, ops.linear(normed, weights, f"{block}.mlp.w1", width))
    return op.add(x, ops.linear(wide, weights, f"{block}.mlp.w2", 2 * width))
