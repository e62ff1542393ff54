"""MobileCLIP's two towers as OpenVINO graphs: pictures and words to vectors of one space.

Papers: MobileCLIP https://arxiv.org/abs/2311.17049, MobileCLIP2 https://arxiv.org/abs/2508.20691,
CLIP https://arxiv.org/abs/2103.00020. Names are open_clip's, fused and folded: `visual.trunk.…`,
`text.…`.
"""

from __future__ import annotations

import numpy as np

from galago.checkpoints.names import CLIP_TRUNK, TEXT_BLOCK, VIT_BLOCK
from galago.engine.graph import fastvit, ops
from galago.engine.graph.ops import Node, Weights
from galago.engine.runtime import op, ov
from galago.specs import ClipSpec, ClipTextSpec, FastViTSpec, ViTSpec


def image_tower(weights: Weights, spec: ClipSpec) -> ov.Model:
    """pixel_values float32 (B, 3, H, W) -> image_features float32 (B, embed), not normalised."""
    pixels = op.parameter(ov.PartialShape([-1, 3, -1, -1]), ov.Type.f32, name="pixel_values")
    pixels.output(0).set_names({"pixel_values"})
    inner = ops.Under(weights, CLIP_TRUNK)
    if isinstance(spec.vision, FastViTSpec):
        pooled = op.reduce_mean(fastvit.trunk(pixels, inner, spec.vision), ops.integers(2, 3))
        pooled = fastvit.in_order(pooled, spec.vision, 1)
        features = ops.linear(pooled, inner, "head.fc", spec.vision.features)
    else:
        features = ops.linear(vit(pixels, inner, spec.vision), inner, "head", spec.vision.width)
    features.output(0).set_names({"image_features"})
    return ov.Model([op.result(features)], [pixels], "image_tower")


def vit(pixels: Node, weights: Weights, spec: ViTSpec) -> Node:
    """Pixels (B, 3, side, side) -> the normed class token (B, width)."""
    if spec.stem == "conv":
        out = pixels
        for index, (kernel, last) in enumerate(((4, False), (2, False), (2, True))):
            padding = 0 if index else spec.stem_padding
            out = _patches(out, weights, f"patch_embed.backbone.{index}.conv", kernel, padding)
            out = out if last else ops.gelu(out)
    else:
        out = _patches(pixels, weights, "patch_embed.proj", spec.patch)
    out = op.reshape(out, ops.integers(0, spec.width, -1), special_zero=True)
    out = op.transpose(out, ops.integers(0, 2, 1))  # (B, N, width)
    positions = ops.weight(weights["pos_embed"], out)  # (1, N or N + 1, width)
    if not spec.class_position:
        out = op.add(out, positions)
    first = ops.weight(weights["cls_token"], out)  # (1, 1, width)
    batch = op.gather(op.shape_of(pixels), ops.integers(0), op.constant(np.int64(0)))
    shape = op.concat([batch, ops.integers(1, spec.width)], axis=0)
    out = op.concat([op.broadcast(first, shape), out], axis=1)
    if spec.class_position:
        out = op.add(out, positions)
    if spec.pre_norm:
        out = ops.layer_norm(out, weights, "norm_pre", spec.eps)
    for index in range(spec.layers):
        names = {part: f"blocks.{index}.{name}" for part, name in VIT_BLOCK.items()}
        out = ops.transformer_block(out, weights, spec, names)
    out = op.gather(out, op.constant(np.int64(0)), op.constant(np.int64(1)))  # (B, width)
    return ops.layer_norm(out, weights, "norm", spec.eps)


def _patches(x: Node, weights: Weights, name: str, kernel: int, padding: int = 0) -> Node:
    """A convolution whose windows lie side by side; what is left behind the last one is unseen."""
    window, pad = [kernel] * 2, [padding] * 2
    out = op.convolution(x, ops.weight(weights[f"{name}.weight"], x), window, pad, pad, [1, 1])
    bias = weights.get(f"{name}.bias")
    return out if bias is None else op.add(out, ops.weight(bias, x, (1, *bias.shape, 1, 1)))


def text_tower(weights: Weights, spec: ClipTextSpec) -> ov.Model:
    """inputs_embeds float32 (B, T, width), the place of each end token int64 (B,) -> text_features.

    float32 (B, embed), not normalised. Rows of the embedding table are looked up outside, where it
    need not be held in memory for the few of a text. T is the full context, unless the mask is
    causal: then what follows the end token changes nothing and can be cut off.
    """
    embeds = op.parameter(ov.PartialShape([-1, -1, spec.width]), ov.Type.f32, name="inputs_embeds")
    ends = op.parameter(ov.PartialShape([-1]), ov.Type.i64, name="ends")
    for parameter, name in ((embeds, "inputs_embeds"), (ends, "ends")):
        parameter.output(0).set_names({name})
    zero, one = op.constant(np.int64(0)), op.constant(np.int64(1))
    inner = ops.Under(weights, "text.")
    length = op.gather(op.shape_of(embeds), ops.integers(1), zero)
    positions = ops.weight(inner["positional_embedding"], embeds)
    start, step, rows = ops.integers(0), ops.integers(1), ops.integers(0)
    out = op.add(embeds, op.slice(positions, start, length, step, rows))
    first = int(spec.mixers)
    if spec.mixers:
        out = _token_mixer(out, inner, "transformer.resblocks.0")
    for index in range(first, first + spec.layers):
        names = {part: f"transformer.resblocks.{index}.{name}" for part, name in TEXT_BLOCK.items()}
        out = ops.transformer_block(out, inner, spec, names, causal=spec.causal)
    if spec.mixers:
        out = _token_mixer(out, inner, f"transformer.resblocks.{spec.layers + 1}")
    out = op.gather(out, op.unsqueeze(ends, one), one, batch_dims=1)  # (B, 1, width)
    out = ops.layer_norm(op.squeeze(out, one), inner, "ln_final", spec.eps)
    projection = ops.weight(inner["text_projection"], out)  # (width, embed)
    out = op.matmul(out, projection, transpose_a=False, transpose_b=False)
    out.output(0).set_names({"text_features"})
    return ov.Model([op.result(out)], [embeds, ends], "text_tower")


def _token_mixer(x: Node, weights: Weights, name: str) -> Node:
    """FastViT's convolutional block over a row of tokens (B, T, width)."""
    row = op.unsqueeze(op.transpose(x, ops.integers(0, 2, 1)), op.constant(np.int64(2)))
    row = fastvit.mixer_block(row, weights, name)  # (B, width, 1, T)
    return op.transpose(op.squeeze(row, op.constant(np.int64(2))), ops.integers(0, 2, 1))
