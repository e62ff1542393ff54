"""FastViT trunks as OpenVINO graphs: mci0 .. mci4, FastViTHD and smaller ones of the same build.

Papers: FastViT https://arxiv.org/abs/2303.14189, MobileCLIP https://arxiv.org/abs/2311.17049,
FastVLM https://arxiv.org/abs/2412.13303. The tensors are folded ones (galago/engine/folding.py).

A depthwise convolution that makes m channels of each becomes m plain ones side by side, which the
engine runs three to four times as fast with AVX-512 (hardly faster with AVX2). Channels then come
with every group's first before every group's second; the weights behind are reordered, and the
trunk's own channels in the end.
"""

from __future__ import annotations

import numpy as np

from galago.checkpoints.names import PROJECTOR, VISION, slots
from galago.engine.graph import ops
from galago.engine.graph.ops import Node, Weights
from galago.engine.runtime import op, ov
from galago.specs import FastViTSpec


def build(
    weights: Weights, spec: FastViTSpec, *, projector: bool = True, kind: str = "f32"
) -> ov.Model:
    """pixel_values float32 (B, 3, H, W) -> image_features float32.

    With the projector (tensors under PROJECTOR) the result is (B, T, hidden), row by row from the
    top left; without it the trunk's feature map (B, C, H/stride, W/stride). `weights` holds folded
    tensors under VISION. `kind` is the element type between the two ends: bf16 for tensors that are
    stored so, where the processor multiplies them.
    """
    pixels = op.parameter(ov.PartialShape([-1, 3, -1, -1]), ov.Type.f32, name="pixel_values")
    pixels.output(0).set_names({"pixel_values"})
    seen = pixels if kind == "f32" else op.convert(pixels, kind)
    out = trunk(seen, ops.Under(weights, VISION), spec)
    if not projector:
        out = in_order(out, spec, 1)
    else:
        first, _ = weights[f"{PROJECTOR}0.weight"].shape
        out = op.reshape(out, ops.integers(0, spec.features, -1), special_zero=True)
        out = in_order(op.transpose(out, ops.integers(0, 2, 1)), spec, 2)  # (B, T, C)
        out = ops.gelu(ops.linear(out, weights, f"{PROJECTOR}0", spec.features))
        out = ops.linear(out, weights, f"{PROJECTOR}2", first)
    if kind != "f32":
        out = op.convert(out, "f32")
    out.output(0).set_names({"image_features"})
    return ov.Model([op.result(out)], [pixels], "fastvit")


def trunk(x: Node, weights: Weights, spec: FastViTSpec) -> Node:
    """Pixels (B, 3, H, W) -> features (B, C, H / stride, W / stride); folded names, no prefix.

    The channels' order is that of the split convolutions: see `in_order`.
    """
    for index, stride in enumerate((2, 2, 1)):
        x = ops.gelu(ops.convolution(x, weights, f"patch_embed.{index}", stride=stride))
    for slot in slots(spec):
        name = f"network.{slot.index}"
        if slot.kind == "down":
            x = _downsample(x, weights, f"{name}.proj", spec, slot.stage)
        elif slot.kind == "position":
            x = ops.convolution(x, weights, name)
        else:
            for block in (f"{name}.{number}" for number in range(spec.depths[slot.stage])):
                if spec.mixers[slot.stage] == "repmixer":
                    x = mixer_block(x, weights, block)
                else:
                    x = _attention_block(x, weights, block, spec, slot.stage)
    x = _widening(x, weights, "conv_exp", spec.features // spec.widths[-1])
    return ops.gelu(ops.squeeze_excite(x, weights, "conv_exp.se"))


def in_order(x: Node, spec: FastViTSpec, axis: int) -> Node:
    """What is made of the trunk's channels, along `axis`, as the checkpoint has them."""
    many = spec.features // spec.widths[-1]
    places = np.arange(spec.features).reshape(many, -1).T.ravel()
    return x if many == 1 else op.gather(x, op.constant(places), op.constant(np.int64(axis)))


def _widening(x: Node, weights: Weights, name: str, many: int, *, stride: int = 1) -> Node:
    """(B, C, H, W) -> (B, many * C, H / stride, W / stride)"""
    parts = [ops.convolution(x, weights, f"{name}.{n}", stride=stride) for n in range(many)]
    return parts[0] if many == 1 else op.concat(parts, axis=1)


def _downsample(x: Node, weights: Weights, name: str, spec: FastViTSpec, stage: int) -> Node:
    many = spec.widths[stage] // spec.widths[stage - 1]
    x = _widening(x, weights, f"{name}.0", many, stride=2)
    if spec.se_downsamples[stage]:
        x = ops.squeeze_excite(x, weights, f"{name}.0.se")
    if spec.downsample_act:
        x = ops.gelu(x)
    return ops.gelu(ops.convolution(x, weights, f"{name}.1"))


def mixer_block(x: Node, weights: Weights, name: str) -> Node:
    """RepMixer and ConvFFN over a map (B, C, H, W), with folded tensors under `name`."""
    x = ops.convolution(x, weights, f"{name}.token_mixer")
    return op.add(x, _conv_ffn(x, weights, f"{name}.convffn"))


def _conv_ffn(x: Node, weights: Weights, name: str, *, small: bool = False) -> Node:
    x = ops.convolution(x, weights, f"{name}.conv")
    x = ops.gelu(ops.convolution(x, weights, f"{name}.fc1"))
    narrowing = ops.pointwise if small else ops.convolution
    return narrowing(x, weights, f"{name}.fc2")


def _attention_block(x: Node, weights: Weights, name: str, spec: FastViTSpec, stage: int) -> Node:
    width = spec.widths[stage]
    heads = width // spec.head_dim
    last = stage == len(spec.widths) - 1
    tokens = op.reshape(x, ops.integers(0, width, -1), special_zero=True)
    tokens = op.transpose(tokens, ops.integers(0, 2, 1))  # (B, N, C)
    if spec.norm == "layer":
        tokens = ops.layer_norm(tokens, weights, f"{name}.norm")
    names = (f"{name}.token_mixer.qkv", f"{name}.token_mixer.proj")
    mixed = ops.attention(tokens, weights, names, width, heads, causal=False)
    mixed = op.transpose(mixed, ops.integers(0, 2, 1))
    x = op.add(x, op.reshape(mixed, op.shape_of(x), special_zero=False))
    return op.add(x, _conv_ffn(x, weights, f"{name}.convffn", small=last))
