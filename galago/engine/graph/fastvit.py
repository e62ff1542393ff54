"""FastViT trunks as OpenVINO graphs: mci0 .. mci4, FastViTHD and smaller ones of the same build.

Papers: FastViT https://arxiv.org/abs/2303.14189, MobileCLIP https://arxiv.org/abs/2311.17049,
FastVLM https://arxiv.org/abs/2412.13303. `fold` (plain numpy) first removes what need not be run:
the batch norm after each depthwise convolution, layer scales and batch norms before attention
become part of the neighbouring weights. `build` then turns the folded tensors into a graph.

A depthwise convolution that makes m channels of each becomes m plain ones side by side, which the
engine runs three to four times as fast with AVX-512 (hardly faster with AVX2). Channels then come
with every group's first before every group's second; the weights behind are reordered, and the
trunk's own channels in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np
import numpy.typing as npt

from galago.checkpoints.names import PROJECTOR, VISION, slots, vision_shapes
from galago.checkpoints.tensors import Float
from galago.engine.graph import ops
from galago.engine.graph.ops import Node, Weights
from galago.engine.runtime import op, ov
from galago.specs import FastViTSpec

Get = Callable[[str], Float]
BN_EPS = 1e-5


def fold(get: Get, spec: FastViTSpec) -> Iterator[tuple[str, Float]]:
    """Fused checkpoint tensors -> (name, float32 array) of the folded trunk, one at a time.

    `get` reads a float32 tensor by its canonical name without the VISION prefix; the names that
    come out are the ones `build` asks for.
    """
    for index in range(3):
        yield from _copy(get, f"patch_embed.{index}", f"patch_embed.{index}.reparam_conv")
    for slot in slots(spec):
        name = f"network.{slot.index}"
        if slot.kind == "down":
            width = spec.widths[slot.stage - 1]
            order = yield from _split(get, f"{name}.proj.0", "lkb_reparam", width)
            if spec.se_downsamples[slot.stage]:
                yield from _fold_excite(get, f"{name}.proj.0.se", order)
            after = f"{name}.proj.1"
            yield f"{after}.weight", get(f"{after}.reparam_conv.weight").take(order, axis=1)
            yield f"{after}.bias", get(f"{after}.reparam_conv.bias")
        elif slot.kind == "position":
            yield from _copy(get, name, f"{name}.reparam_conv")
        else:
            for block in range(spec.depths[slot.stage]):
                yield from _fold_block(get, f"{name}.{block}", spec, slot.stage)
    order = yield from _split(get, "conv_exp", "reparam_conv", spec.widths[-1])
    yield from _fold_excite(get, "conv_exp.se", order)


def folded_shapes(spec: FastViTSpec) -> dict[str, tuple[int, ...]]:
    """The names and shapes of what `fold` gives, without making it."""
    groups = {
        f"network.{slot.index}.proj.0": spec.widths[slot.stage - 1]
        for slot in slots(spec)
        if slot.kind == "down"
    } | {"conv_exp": spec.widths[-1]}
    folded: dict[str, tuple[int, ...]] = {}
    for name, shape in vision_shapes(spec).items():
        stored, _, part = name.rpartition(".")
        layer = stored.removesuffix(".reparam_conv").removesuffix(".lkb_reparam")
        if layer in groups and layer != stored:
            for index in range(shape[0] // groups[layer]):
                folded[f"{layer}.{index}.{part}"] = (groups[layer], *shape[1:])
        elif layer.endswith(".convffn.conv.conv"):
            layer = layer.removesuffix(".conv")
            folded |= {f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}
        elif layer.endswith(".token_mixer.qkv") and spec.norm == "batch":
            folded |= {f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}
        elif not _is_folded_away(layer, part, spec):
            folded[f"{layer}.{part}"] = shape
    return folded


def _is_folded_away(layer: str, part: str, spec: FastViTSpec) -> bool:
    norm = layer.endswith(".bn") or (layer.endswith(".norm") and spec.norm == "batch")
    return norm or part.startswith("layer_scale")


def _split(
    get: Get, name: str, source: str, groups: int
) -> Generator[tuple[str, Float], None, npt.NDArray[np.int64]]:
    """`name`.0 …: plain depthwise convolutions; returns the channels' old numbers in new order."""
    weight, bias = get(f"{name}.{source}.weight"), get(f"{name}.{source}.bias")
    many = len(weight) // groups
    for index in range(many):
        yield f"{name}.{index}.weight", np.ascontiguousarray(weight[index::many])
        yield f"{name}.{index}.bias", np.ascontiguousarray(bias[index::many])
    order: npt.NDArray[np.int64] = np.arange(len(weight)).reshape(groups, many).T.ravel()
    return order


def _fold_excite(get: Get, name: str, order: npt.NDArray[np.int64]) -> Iterator[tuple[str, Float]]:
    """Of 1x1 convolutions: fewer channels from all, then all again, which come in `order`."""
    yield f"{name}.reduce.weight", get(f"{name}.reduce.weight").take(order, axis=1)
    yield f"{name}.reduce.bias", get(f"{name}.reduce.bias")
    for part in ("weight", "bias"):
        yield f"{name}.expand.{part}", get(f"{name}.expand.{part}")[order]


def _copy(get: Get, name: str, source: str) -> Iterator[tuple[str, Float]]:
    yield f"{name}.weight", get(f"{source}.weight")
    yield f"{name}.bias", get(f"{source}.bias")


def batch_norm(get: Get, name: str) -> tuple[Float, Float]:
    """A batch norm as scale and shift."""
    scale = get(f"{name}.weight") / np.sqrt(get(f"{name}.running_var") + np.float32(BN_EPS))
    return scale, get(f"{name}.bias") - get(f"{name}.running_mean") * scale


def _fold_block(get: Get, name: str, spec: FastViTSpec, stage: int) -> Iterator[tuple[str, Float]]:
    if spec.mixers[stage] == "repmixer":
        yield from fold_mixer(get, name)
    else:
        yield from _fold_attention(get, name, spec)
        yield from _fold_conv_ffn(get, name, f"{name}.layer_scale_2")


def fold_mixer(get: Get, name: str) -> Iterator[tuple[str, Float]]:
    """The tensors of one RepMixer block, as `mixer_block` asks for them."""
    yield from _copy(get, f"{name}.token_mixer", f"{name}.token_mixer.reparam_conv")
    yield from _fold_conv_ffn(get, name, f"{name}.layer_scale")


def _fold_conv_ffn(get: Get, name: str, scale_name: str) -> Iterator[tuple[str, Float]]:
    scale, shift = batch_norm(get, f"{name}.convffn.conv.bn")
    yield (
        f"{name}.convffn.conv.weight",
        get(f"{name}.convffn.conv.conv.weight") * scale[:, None, None, None],
    )
    yield f"{name}.convffn.conv.bias", shift
    yield from _copy(get, f"{name}.convffn.fc1", f"{name}.convffn.fc1")
    gamma = get(scale_name).reshape(-1)
    down = f"{name}.convffn.fc2"
    yield f"{down}.weight", get(f"{down}.weight") * gamma[:, None, None, None]
    yield f"{down}.bias", get(f"{down}.bias") * gamma


def _fold_attention(get: Get, name: str, spec: FastViTSpec) -> Iterator[tuple[str, Float]]:
    qkv = get(f"{name}.token_mixer.qkv.weight")
    if spec.norm == "batch":
        scale, shift = batch_norm(get, f"{name}.norm")
        yield f"{name}.token_mixer.qkv.weight", qkv * scale[None, :]
        yield f"{name}.token_mixer.qkv.bias", qkv @ shift
    else:
        yield from _copy(get, f"{name}.norm", f"{name}.norm")
        yield f"{name}.token_mixer.qkv.weight", qkv
    gamma = get(f"{name}.layer_scale_1").reshape(-1)
    yield f"{name}.token_mixer.proj.weight", get(f"{name}.token_mixer.proj.weight") * gamma[:, None]
    yield f"{name}.token_mixer.proj.bias", get(f"{name}.token_mixer.proj.bias") * gamma


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
