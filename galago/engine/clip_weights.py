"""A MobileCLIP's tensors in the form the towers are built from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.names import CLIP_TRUNK as TRUNK
from galago.checkpoints.names import TEXT_BLOCKS, llava_to_timm
from galago.checkpoints.tensors import (
    Float,
    InMemory,
    LazyTensor,
    Stored,
    let_go,
    read_float,
    to_bf16,
)
from galago.engine import quantise
from galago.engine.folding import batch_norm, fold, fold_mixer
from galago.engine.precision import ClipPrecision
from galago.specs import FastViTSpec

TABLE = "text.token_embedding.weight"


def image_items(
    checkpoint: ClipCheckpoint, *, split: bool = True
) -> Iterator[tuple[str, Float | Stored]]:
    """The image tower's tensors by the names that graph/clip.py asks for; folded in float32.

    `split`: as galago.engine.folding.fold.
    """
    spec = checkpoint.spec.vision

    def get(name: str) -> Float:
        return read(checkpoint.tensors[TRUNK + name])

    if isinstance(spec, FastViTSpec):
        trunk = fold(lambda name: get(llava_to_timm(name, spec)), spec, split=split)
        for name, array in trunk:
            yield TRUNK + name, array
        for part in ("weight", "bias"):
            yield f"{TRUNK}head.fc.{part}", get(f"head.fc.{part}")
        return
    folded = {}
    for index in (0, 1) if spec.stem == "conv" else ():
        stem = f"patch_embed.backbone.{index}"
        gain, shift = batch_norm(get, f"{stem}.bn")
        folded[f"{stem}.conv.weight"] = get(f"{stem}.conv.weight") * gain[:, None, None, None]
        folded[f"{stem}.conv.bias"] = shift
    for name, array in folded.items():
        yield TRUNK + name, array
    for name, stored in checkpoint.tensors.items():
        rest = name.removeprefix(TRUNK)
        if name != rest and rest not in folded and ".bn." not in rest:
            yield name, stored


def text_items(checkpoint: ClipCheckpoint) -> Iterator[tuple[str, Float | Stored]]:
    """The text tower's tensors, all but the table, by the names that graph/clip.py asks for."""
    spec = checkpoint.spec.text
    ends = (0, spec.layers + 1) if spec.mixers else ()
    mixers = [f"{TEXT_BLOCKS}{index}" for index in ends]
    for mixer in mixers:
        yield from fold_mixer(lambda name: read(checkpoint.tensors[name]), mixer)
    for name, stored in checkpoint.tensors.items():
        folded = name == TABLE or any(name.startswith(f"{mixer}.") for mixer in mixers)
        if name.startswith("text.") and not folded:
            yield name, stored


def read(stored: Stored) -> Float:
    """A copy in float32; the file's own pages are let go, for they are not needed again."""
    array: Float = read_float(stored).copy()
    let_go(stored)
    return array


def in_precision(
    items: Iterator[tuple[str, Float | Stored]], precision: ClipPrecision, *, native: bool
) -> dict[str, Stored]:
    """In the form that is kept in memory: int8 for matrices only, tables and kernels in bf16.

    float32 of a file is left there where the engine rounds it itself, if it has to (`native`: the
    processor multiplies bf16).
    """
    held: dict[str, Stored] = {}
    as_it_is = precision == "fp32" or (precision == "bf16" and native)
    for name, found in items:
        if isinstance(found, LazyTensor) and as_it_is and sharable(found):
            held[name] = found
            continue
        array = found if isinstance(found, np.ndarray) else read(found)
        matrix = array.ndim == 2 and name.endswith(".weight") and "embedding" not in name
        if precision == "int8" and matrix:
            rows, scale = quantise.int8_rows(array)
            held[name] = InMemory("I8", rows.shape, rows)
            held[f"{name}.scale"] = InMemory("F32", scale.shape, scale)
        elif precision == "fp32":
            held[name] = InMemory("F32", array.shape, np.ascontiguousarray(array, np.float32))
        else:
            held[name] = InMemory("BF16", array.shape, to_bf16(array))
    return held


def sharable(stored: LazyTensor) -> bool:
    """Whether the engine can read a tensor where it lies: float32, in order, at a whole address."""
    if stored.dtype != "F32":
        return False
    flags = stored.read().flags
    return flags.c_contiguous and flags.aligned
