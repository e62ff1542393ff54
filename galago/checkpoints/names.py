"""Names and shapes of every tensor, and how published layouts name them.

One naming is canonical: that of llava_qwen2 folders as published with FastVLM. Everything here is
pure text and integers; files are read in galago/checkpoints/vlm.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from galago.specs import FastViTSpec, Qwen2Spec

VISION = "model.vision_tower.vision_tower.model."
PROJECTOR = "model.mm_projector."
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
CLIP_TRUNK = "visual.trunk."  # of MobileCLIP, in the open_clip layout
TEXT_BLOCKS = "text.transformer.resblocks."
# How timm's ViT and open_clip's text tower call the parts of a block.
VIT_BLOCK = {"norm1": "norm1", "qkv": "attn.qkv", "proj": "attn.proj", "norm2": "norm2",
             "fc1": "mlp.fc1", "fc2": "mlp.fc2"}  # fmt: skip
TEXT_BLOCK = {"norm1": "ln_1", "qkv": "attn.in_proj", "proj": "attn.out_proj", "norm2": "ln_2",
              "fc1": "mlp.c_fc", "fc2": "mlp.c_proj"}  # fmt: skip

NOT_WHOLE = "it is not the whole model, or in another layout"

Shapes = dict[str, tuple[int, ...]]
T = TypeVar("T")


def unwrapped(tensors: Mapping[str, T]) -> dict[str, T]:
    """Without what torch.compile and distributed training put before the names of a model."""
    found = {name.replace("_orig_mod.", ""): tensor for name, tensor in tensors.items()}
    while found and all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    return found


@dataclass(frozen=True)
class Slot:
    """One entry of the trunk's flat `network` list."""

    index: int
    kind: Literal["down", "position", "blocks"]
    stage: int


def slots(spec: FastViTSpec) -> Iterator[Slot]:
    """The trunk after its stem, in order: patch embedding, position encoding, blocks per stage."""
    index = 0
    for stage, mixer in enumerate(spec.mixers):
        if stage > 0:
            yield Slot(index, "down", stage)
            index += 1
        if mixer == "attention":
            yield Slot(index, "position", stage)
            index += 1
        yield Slot(index, "blocks", stage)
        index += 1


def vision_shapes(spec: FastViTSpec) -> Shapes:
    """The fused tensors of a trunk without its classifier, names relative to VISION."""
    width = spec.widths[0]
    shapes: Shapes = {}
    _conv(shapes, "patch_embed.0.reparam_conv", width, 3, 3)
    _conv(shapes, "patch_embed.1.reparam_conv", width, 1, 3)
    _conv(shapes, "patch_embed.2.reparam_conv", width, width, 1)
    for slot in slots(spec):
        name, width = f"network.{slot.index}", spec.widths[slot.stage]
        if slot.kind == "down":
            _conv(shapes, f"{name}.proj.0.lkb_reparam", width, 1, 7)
            if spec.se_downsamples[slot.stage]:
                _excite(shapes, f"{name}.proj.0.se", width, _divisible(width / 4))
            _conv(shapes, f"{name}.proj.1.reparam_conv", width, width, 1)
        elif slot.kind == "position":
            _conv(shapes, f"{name}.reparam_conv", width, 1, 7)
        else:
            for block in range(spec.depths[slot.stage]):
                _block(shapes, f"{name}.{block}", spec, slot.stage)
    _conv(shapes, "conv_exp.reparam_conv", spec.features, 1, 3)
    _excite(shapes, "conv_exp.se", spec.features, max(1, int(spec.features / 16 + 0.5)))
    return shapes


def _divisible(channels: float, divisor: int = 8) -> int:
    """Channels of a squeeze rounded to a multiple of 8, as the published trunks do."""
    return max(divisor, int(channels + divisor / 2) // divisor * divisor)


def _conv(shapes: Shapes, name: str, out: int, per_group: int, kernel: int) -> None:
    shapes[f"{name}.weight"] = (out, per_group, kernel, kernel)
    shapes[f"{name}.bias"] = (out,)


def _excite(shapes: Shapes, name: str, width: int, squeezed: int) -> None:
    _conv(shapes, f"{name}.reduce", squeezed, width, 1)
    _conv(shapes, f"{name}.expand", width, squeezed, 1)


def _norm(shapes: Shapes, name: str, width: int, *, batch: bool) -> None:
    parts = ("weight", "bias", "running_mean", "running_var") if batch else ("weight", "bias")
    for part in parts:
        shapes[f"{name}.{part}"] = (width,)


def _block(shapes: Shapes, name: str, spec: FastViTSpec, stage: int) -> None:
    width = spec.widths[stage]
    hidden = int(width * spec.mlp_ratios[stage])
    if spec.mixers[stage] == "repmixer":
        _conv(shapes, f"{name}.token_mixer.reparam_conv", width, 1, 3)
        shapes[f"{name}.layer_scale"] = (width, 1, 1)
    else:
        _norm(shapes, f"{name}.norm", width, batch=spec.norm == "batch")
        shapes[f"{name}.token_mixer.qkv.weight"] = (3 * width, width)
        shapes[f"{name}.token_mixer.proj.weight"] = (width, width)
        shapes[f"{name}.token_mixer.proj.bias"] = (width,)
        shapes[f"{name}.layer_scale_1"] = (width, 1, 1)
        shapes[f"{name}.layer_scale_2"] = (width, 1, 1)
    shapes[f"{name}.convffn.conv.conv.weight"] = (width, 1, 7, 7)
    _norm(shapes, f"{name}.convffn.conv.bn", width, batch=True)
    _conv(shapes, f"{name}.convffn.fc1", hidden, width, 1)
    _conv(shapes, f"{name}.convffn.fc2", width, hidden, 1)


def text_shapes(spec: Qwen2Spec) -> Shapes:
    """The decoder's tensors, canonical names."""
    hidden, kv = spec.hidden, spec.kv_heads * spec.head_dim
    shapes: Shapes = {EMBEDDING: (spec.vocab, hidden), "model.norm.weight": (hidden,)}
    if not spec.tied:
        shapes[HEAD] = (spec.vocab, hidden)
    for index in range(spec.layers):
        name = f"model.layers.{index}"
        for part, rows in (("q", hidden), ("k", kv), ("v", kv)):
            shapes[f"{name}.self_attn.{part}_proj.weight"] = (rows, hidden)
            shapes[f"{name}.self_attn.{part}_proj.bias"] = (rows,)
        shapes[f"{name}.self_attn.o_proj.weight"] = (hidden, hidden)
        shapes[f"{name}.mlp.gate_proj.weight"] = (spec.intermediate, hidden)
        shapes[f"{name}.mlp.up_proj.weight"] = (spec.intermediate, hidden)
        shapes[f"{name}.mlp.down_proj.weight"] = (hidden, spec.intermediate)
        shapes[f"{name}.input_layernorm.weight"] = (hidden,)
        shapes[f"{name}.post_attention_layernorm.weight"] = (hidden,)
    return shapes


def projector_shapes(features: int, widths: tuple[int, ...]) -> Shapes:
    """The two-layer projector: Linear, GELU, Linear."""
    first, second = widths
    return {
        f"{PROJECTOR}0.weight": (first, features),
        f"{PROJECTOR}0.bias": (first,),
        f"{PROJECTOR}2.weight": (second, first),
        f"{PROJECTOR}2.bias": (second,),
    }


# timm's name, llava's name: plain replacements once the stage numbers are settled.
_RENAMES = (
    ("stem.", "patch_embed."),
    ("final_conv.", "conv_exp."),
    (".mlp.", ".convffn."),
    (".se.fc1.", ".se.reduce."),
    (".se.fc2.", ".se.expand."),
)


def timm_to_llava(name: str, spec: FastViTSpec) -> str:
    """A tensor of timm's fused FastVit -> the name in llava_qwen2 folders (without VISION)."""
    match = re.match(r"stages\.(\d+)\.(downsample\.proj|pos_emb|blocks)\.(.*)$", name)
    if match:
        stage, part, rest = int(match[1]), match[2], match[3]
        kind = {"downsample.proj": "down", "pos_emb": "position", "blocks": "blocks"}[part]
        index = _slot_index(spec, kind, stage)
        if kind == "down":
            rest = "proj." + re.sub(r"^0\.reparam_conv\.", "0.lkb_reparam.", rest)
        name = f"network.{index}.{rest}"
    for theirs, ours in _RENAMES:
        name = name.replace(theirs, ours)
    return re.sub(r"(\.layer_scale(_[12])?)\.gamma$", r"\1", name)


def llava_to_timm(name: str, spec: FastViTSpec) -> str:
    """The inverse of timm_to_llava."""
    name = re.sub(r"(\.layer_scale(_[12])?)$", r"\1.gamma", name)
    for theirs, ours in _RENAMES:
        name = name.replace(ours, theirs)
    match = re.match(r"network\.(\d+)\.(.*)$", name)
    if not match:
        return name
    slot = next(s for s in slots(spec) if s.index == int(match[1]))
    rest = match[2]
    if slot.kind == "down":
        rest = re.sub(r"^proj\.", "downsample.proj.", rest).replace("lkb_reparam", "reparam_conv")
    else:
        rest = ("pos_emb." if slot.kind == "position" else "blocks.") + rest
    return f"stages.{slot.stage}.{rest}"


def _slot_index(spec: FastViTSpec, kind: str, stage: int) -> int:
    return next(s.index for s in slots(spec) if s.kind == kind and s.stage == stage)


def fast_vlm_to_llava(name: str, spec: FastViTSpec) -> str:
    """A tensor of a transformers fast_vlm folder -> the canonical name (unknown names as is)."""
    timm = re.match(r"(?:model\.)?vision_tower\.timm_model\.(.*)$", name)
    if timm:
        return VISION + timm_to_llava(timm[1], spec)
    projector = re.match(r"(?:model\.)?multi_modal_projector\.linear_([12])\.(.*)$", name)
    if projector:
        return f"{PROJECTOR}{'0' if projector[1] == '1' else '2'}.{projector[2]}"
    name = re.sub(r"^(?:model\.)?language_model\.lm_head\.", "lm_head.", name)
    return re.sub(r"^(?:model\.)?language_model\.(?:model\.)?", "model.", name)


def llava_to_fast_vlm(name: str, spec: FastViTSpec) -> str:
    """The inverse of fast_vlm_to_llava, as transformers 5 saves it."""
    if name.startswith(VISION):
        return "model.vision_tower.timm_model." + llava_to_timm(name[len(VISION) :], spec)
    if name.startswith(PROJECTOR):
        index, part = name[len(PROJECTOR) :].split(".")
        return f"model.multi_modal_projector.linear_{1 if index == '0' else 2}.{part}"
    if name == HEAD:
        return name
    return re.sub(r"^model\.", "model.language_model.", name)
