"""Names and shapes of every tensor of a MobileCLIP, in the fused open_clip layout."""

from __future__ import annotations

from collections.abc import Mapping

from galago.checkpoints.names import CLIP_TRUNK as TRUNK
from galago.checkpoints.names import (
    TEXT_BLOCK,
    TEXT_BLOCKS,
    VIT_BLOCK,
    Shapes,
    llava_to_timm,
    vision_shapes,
)
from galago.specs import ClipSpec, ClipTextSpec, FastViTSpec, ViTSpec


def clip_shapes(spec: ClipSpec) -> Shapes:
    """Every tensor that a model needs, by its name in the fused open_clip layout."""
    shapes: Shapes = {"logit_scale": ()}
    if isinstance(spec.vision, FastViTSpec):
        for name, shape in vision_shapes(spec.vision).items():
            shapes[TRUNK + llava_to_timm(name, spec.vision)] = shape
        _linear(shapes, f"{TRUNK}head.fc", spec.embed, spec.vision.features)
    else:
        _vit_shapes(shapes, spec.vision, spec.image.side)
        _linear(shapes, f"{TRUNK}head", spec.embed, spec.vision.width)
    _text_shapes(shapes, spec.text, spec.embed)
    return shapes


def _linear(shapes: Shapes, name: str, rows: int, columns: int) -> None:
    shapes[f"{name}.weight"] = (rows, columns)
    shapes[f"{name}.bias"] = (rows,)


def _norm(shapes: Shapes, name: str, width: int) -> None:
    for part in ("weight", "bias"):
        shapes[f"{name}.{part}"] = (width,)


def _block(
    shapes: Shapes, block: str, names: Mapping[str, str], spec: ViTSpec | ClipTextSpec
) -> None:
    width, hidden = spec.width, int(spec.width * spec.mlp_ratio)
    for part in ("norm1", "norm2"):
        _norm(shapes, f"{block}.{names[part]}", width)
    rows = {"qkv": (3 * width, width), "proj": (width, width), "fc1": (hidden, width)}
    for part, size in (rows | {"fc2": (width, hidden)}).items():
        _linear(shapes, f"{block}.{names[part]}", *size)


def _mixer(shapes: Shapes, block: str, width: int, hidden: int) -> None:
    """The text tower's convolutional block; 11 tokens are seen at once."""
    for part in ("token_mixer.reparam_conv", "convffn.conv.conv"):
        shapes[f"{block}.{part}.weight"] = (width, 1, 1, 11)
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{block}.convffn.conv.bn.{part}"] = (width,)
    for part, rows, columns in (("fc1", hidden, width), ("fc2", width, hidden)):
        shapes[f"{block}.convffn.{part}.weight"] = (rows, columns, 1, 1)
        shapes[f"{block}.convffn.{part}.bias"] = (rows,)
    shapes[f"{block}.token_mixer.reparam_conv.bias"] = (width,)
    shapes[f"{block}.layer_scale"] = (width, 1, 1)


def _vit_shapes(shapes: Shapes, spec: ViTSpec, side: int) -> None:
    width = spec.width
    patches = (side // spec.patch) ** 2 + spec.class_position
    shapes[f"{TRUNK}cls_token"] = (1, 1, width)
    shapes[f"{TRUNK}pos_embed"] = (1, patches, width)
    if spec.stem == "conv":
        stem = f"{TRUNK}patch_embed.backbone"
        for index, (rows, columns, kernel) in enumerate(
            ((width // 4, 3, 4), (width // 4, width // 4, 2), (width, width // 4, 2))
        ):
            shapes[f"{stem}.{index}.conv.weight"] = (rows, columns, kernel, kernel)
        for index in (0, 1):
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{stem}.{index}.bn.{part}"] = (width // 4,)
        shapes[f"{stem}.2.conv.bias"] = (width,)
    else:
        shapes[f"{TRUNK}patch_embed.proj.weight"] = (width, 3, spec.patch, spec.patch)
        if not spec.pre_norm:  # a norm right behind makes the bias needless
            shapes[f"{TRUNK}patch_embed.proj.bias"] = (width,)
    if spec.pre_norm:
        _norm(shapes, f"{TRUNK}norm_pre", width)
    for index in range(spec.layers):
        _block(shapes, f"{TRUNK}blocks.{index}", VIT_BLOCK, spec)
    _norm(shapes, f"{TRUNK}norm", width)


def _text_shapes(shapes: Shapes, spec: ClipTextSpec, embed: int) -> None:
    width = spec.width
    shapes["text.positional_embedding"] = (spec.context, width)
    shapes["text.token_embedding.weight"] = (spec.vocab, width)
    first = int(spec.mixers)
    for index in range(first, first + spec.layers):
        _block(shapes, f"{TEXT_BLOCKS}{index}", TEXT_BLOCK, spec)
    for index in (0, spec.layers + 1) if spec.mixers else ():
        _mixer(shapes, f"{TEXT_BLOCKS}{index}", width, int(width * spec.mlp_ratio))
    _norm(shapes, "text.ln_final", width)
    shapes["text.text_projection"] = (width, embed)
