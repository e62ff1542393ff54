"""What of a checkpoint's networks need not be run is folded into their weights, in plain numpy.

Of FastViT trunks (https://arxiv.org/abs/2303.14189) the batch norm after each depthwise
convolution, layer scales, and batch norms before attention become part of the neighbouring
weights.  The engine's graphs and every export are made from what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np
import numpy.typing as npt

from galago.checkpoints.names import slots, vision_shapes
from galago.checkpoints.tensors import Float
from galago.specs import FastViTSpec

__all__ = ["batch_norm", "fold", "fold_mixer", "folded_shapes"]

Get = Callable[[str], Float]
BN_EPS = 1e-5


def fold(get: Get, spec: FastViTSpec, *, split: bool = True) -> Iterator[tuple[str, Float]]:
    """Fused checkpoint tensors -> (name, float32 array) of the folded trunk, one at a time.

    `get` reads a float32 tensor by its canonical name without the VISION prefix; the names that
    come out are those that galago/engine/graph/fastvit.py and galago/export/trunk.py ask for.
    Without `split` depthwise convolutions that make several channels of each stay whole, and the
    channels keep the checkpoint's order.
    """
    widen = _split if split else _whole
    for index in range(3):
        yield from _copy(get, f"patch_embed.{index}", f"patch_embed.{index}.reparam_conv")
    for slot in slots(spec):
        name = f"network.{slot.index}"
        if slot.kind == "down":
            width = spec.widths[slot.stage - 1]
            order = yield from widen(get, f"{name}.proj.0", "lkb_reparam", width)
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
    order = yield from widen(get, "conv_exp", "reparam_conv", spec.widths[-1])
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


def _whole(
    get: Get, name: str, source: str, groups: int
) -> Generator[tuple[str, Float], None, npt.NDArray[np.int64]]:
    """As `_split`, but one convolution of `groups` groups, and the order that there was."""
    yield from _copy(get, name, f"{name}.{source}")
    return np.arange(len(get(f"{name}.{source}.bias")))


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
