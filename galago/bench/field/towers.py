"""Image towers as data: their tensors, visual tokens, parameters and operations from shapes alone.

Names of tensors are timm's, so that one set of shapes counts, fills a graph of galago's and is held
against timm itself (tests/parity/test_field.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from galago.bench.vlm.cost import vision_operations
from galago.checkpoints.names import vision_shapes
from galago.specs import FastViTSpec

__all__ = [
    "ConvNeXt",
    "Plain",
    "Shapes",
    "Tower",
    "ViTamin",
    "layers",
    "operations",
    "parameters",
    "shapes",
    "stride",
    "tokens",
]

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Plain:
    """A plain vision transformer (https://arxiv.org/abs/2010.11929).

    `class_token`: with a position of its own; `pre_norm`: CLIP's norm before the first block, which
    makes the patches' bias needless; `scaled`: DINOv2's layer scale; `pooled`: SigLIP's attention
    pool behind the last block.
    """

    width: int
    layers: int
    heads: int
    hidden: int
    patch: int
    class_token: bool = False
    pre_norm: bool = False
    scaled: bool = False
    pooled: bool = False
    eps: float = 1e-6


@dataclass(frozen=True)
class ConvNeXt:
    """A ConvNeXt (https://arxiv.org/abs/2201.03545); ConvLLaVA's has a fifth stage."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class ViTamin:
    """ViTamin (https://arxiv.org/abs/2404.02132): two stages of MBConv, then a transformer.

    `stem` is the width of the first stage, which the second doubles; the transformer's MLP is gated
    and twice as wide as the model.
    """

    stem: int
    depths: tuple[int, int]
    width: int
    layers: int
    heads: int


Tower = Plain | ConvNeXt | ViTamin | FastViTSpec


def stride(tower: Tower) -> int:
    """Pixels a side of one visual token."""
    if isinstance(tower, FastViTSpec):
        return tower.stride
    if isinstance(tower, Plain):
        return tower.patch
    return 16 if isinstance(tower, ViTamin) else 4 << (len(tower.depths) - 1)


def tokens(tower: Tower, side: int) -> int:
    """Visual tokens of one square picture; what is left over at its edge is unseen."""
    return int(side // stride(tower)) ** 2


def parameters(tower: Tower, side: int) -> int:
    """Numbers in the tensors; of a transformer with the positions of this side."""
    return sum(math.prod(shape) for shape in shapes(tower, side).values())


def shapes(tower: Tower, side: int) -> Shapes:
    """Every tensor by its name. A FastViT's are llava's fused ones, as galago reads them."""
    if isinstance(tower, FastViTSpec):
        found = vision_shapes(tower)
        return {name: shape for name, shape in found.items() if "running_" not in name}
    return {name: shape for name, shape, _ in layers(tower, side)}


def operations(tower: Tower, side: int) -> float:
    """Of one picture: two for a multiplication and an addition; norms, softmax are left out."""
    if isinstance(tower, FastViTSpec):
        return vision_operations(tower, side)
    total = sum(
        2.0 * math.prod(shape) * places
        for _, shape, places in layers(tower, side)
        if len(shape) in (2, 4)
    )
    if isinstance(tower, ConvNeXt):
        return total
    seen = tokens(tower, side) + (isinstance(tower, Plain) and tower.class_token)
    return total + 4.0 * tower.layers * seen**2 * tower.width


Layer = tuple[str, tuple[int, ...], int]  # name, shape, how many places it is multiplied with


def layers(tower: Plain | ConvNeXt | ViTamin, side: int) -> Iterator[Layer]:
    """Each tensor and at how many places of one picture it is used."""
    if isinstance(tower, Plain):
        return _plain(tower, side)
    return _convnext(tower, side) if isinstance(tower, ConvNeXt) else _vitamin(tower, side)


def _linear(name: str, rows: int, columns: int, places: int) -> Iterator[Layer]:
    yield f"{name}.weight", (rows, columns), places
    yield f"{name}.bias", (rows,), places


def _conv(name: str, rows: int, columns: int, kernel: int, places: int) -> Iterator[Layer]:
    yield f"{name}.weight", (rows, columns, kernel, kernel), places
    yield f"{name}.bias", (rows,), places


def _norm(name: str, width: int) -> Iterator[Layer]:
    yield f"{name}.weight", (width,), 1
    yield f"{name}.bias", (width,), 1


def _attention(name: str, width: int, places: int) -> Iterator[Layer]:
    yield from _linear(f"{name}.qkv", 3 * width, width, places)
    yield from _linear(f"{name}.proj", width, width, places)


def _plain(tower: Plain, side: int) -> Iterator[Layer]:
    width, patches = tower.width, tokens(tower, side)
    seen = patches + tower.class_token
    patch = (width, 3, tower.patch, tower.patch)
    yield "patch_embed.proj.weight", patch, patches
    if not tower.pre_norm:
        yield "patch_embed.proj.bias", (width,), patches
    yield "pos_embed", (1, seen, width), 1
    if tower.class_token:
        yield "cls_token", (1, 1, width), 1
    if tower.pre_norm:
        yield from _norm("norm_pre", width)
    for index in range(tower.layers):
        block = f"blocks.{index}"
        yield from _norm(f"{block}.norm1", width)
        yield from _attention(f"{block}.attn", width, seen)
        yield from _norm(f"{block}.norm2", width)
        yield from _linear(f"{block}.mlp.fc1", tower.hidden, width, seen)
        yield from _linear(f"{block}.mlp.fc2", width, tower.hidden, seen)
        for part in ("ls1", "ls2") if tower.scaled else ():
            yield f"{block}.{part}.gamma", (width,), seen
    yield from _norm("norm", width)
    if tower.pooled:
        yield "attn_pool.latent", (1, 1, width), 1
        yield from _linear("attn_pool.q", width, width, 1)
        yield from _linear("attn_pool.kv", 2 * width, width, seen)
        yield from _linear("attn_pool.proj", width, width, 1)
        yield from _norm("attn_pool.norm", width)
        yield from _linear("attn_pool.mlp.fc1", tower.hidden, width, 1)
        yield from _linear("attn_pool.mlp.fc2", width, tower.hidden, 1)


def _convnext(tower: ConvNeXt, side: int) -> Iterator[Layer]:
    yield from _conv("stem.0", tower.widths[0], 3, 4, (side // 4) ** 2)
    yield from _norm("stem.1", tower.widths[0])
    for stage, (depth, width) in enumerate(zip(tower.depths, tower.widths, strict=True)):
        name, places = f"stages.{stage}", (side // (4 << stage)) ** 2
        if stage:
            before = tower.widths[stage - 1]
            yield from _norm(f"{name}.downsample.0", before)
            yield from _conv(f"{name}.downsample.1", width, before, 2, places)
        for index in range(depth):
            block = f"{name}.blocks.{index}"
            yield from _conv(f"{block}.conv_dw", width, 1, 7, places)
            yield from _norm(f"{block}.norm", width)
            yield from _linear(f"{block}.mlp.fc1", 4 * width, width, places)
            yield from _linear(f"{block}.mlp.fc2", width, 4 * width, places)
            yield f"{block}.gamma", (width,), places


def _vitamin(tower: ViTamin, side: int) -> Iterator[Layer]:
    stem, width = tower.stem, tower.width
    net = "patch_embed.backbone"
    yield from _conv(f"{net}.stem.conv1", stem, 3, 3, (side // 2) ** 2)
    yield from _norm(f"{net}.stem.norm1", stem)
    yield from _conv(f"{net}.stem.conv2", stem, stem, 3, (side // 2) ** 2)
    before = stem
    for stage, depth in enumerate(tower.depths):
        out, places = stem << stage, (side // (4 << stage)) ** 2
        for index in range(depth):
            block = f"{net}.stages.{stage}.{index}"
            wide, given = 4 * out, places * (4 if index == 0 else 1)
            if before != out:
                yield from _conv(f"{block}.shortcut.expand", out, before, 1, places)
            yield from _norm(f"{block}.pre_norm", before)
            yield from _conv(f"{block}.conv1_1x1", wide, before, 1, given)
            yield from _conv(f"{block}.conv2_kxk", wide, 1, 3, places)
            yield from _conv(f"{block}.conv3_1x1", out, wide, 1, places)
            before = out
    seen = tokens(tower, side)
    yield from _norm(f"{net}.pool.norm", before)
    yield from _conv(f"{net}.pool.proj", width, before, 3, seen)
    yield "pos_embed", (1, seen, width), 1
    for index in range(tower.layers):
        block = f"blocks.{index}"
        yield from _norm(f"{block}.norm1", width)
        yield from _attention(f"{block}.attn", width, seen)
        yield from _norm(f"{block}.norm2", width)
        yield from _norm(f"{block}.mlp.norm", width)
        for part in ("w0", "w1"):
            yield from _linear(f"{block}.mlp.{part}", 2 * width, width, seen)
        yield from _linear(f"{block}.mlp.w2", width, 2 * width, seen)
    yield from _norm("fc_norm", width)
