"""A FastVLM's tensors under the names and in the shapes that MLX's programs load, and back.

`whole`: mlx-vlm and mlx-swift-lm, which see and speak in MLX.  `app`: Apple's app
(apple/ml-fastvlm), whose eyes are a Core ML package beside it: no trunk, and the projector under
other names.  Kernels lie with their channels last; batch norms and the rest are as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from galago.checkpoints.folders import weight_files
from galago.checkpoints.names import EMBEDDING, HEAD, PROJECTOR, VISION
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import (
    Array,
    Entry,
    Float,
    FusedTensor,
    InMemory,
    Stored,
    let_go,
    read_float,
    to_bf16,
    widen,
)
from galago.checkpoints.vlm import Checkpoint
from galago.errors import ExportError
from galago.export.affine import GROUP, can_be_quantised, dequantise, quantise
from galago.export.shards import Item, rows_of
from galago.specs import Qwen2Spec

__all__ = ["MLX_DTYPES", "Form", "MlxDtype", "mlx_items", "read_mlx"]

Form = Literal["whole", "app"]
_TRUNK, _LANGUAGE = "vision_tower.vision_model.", "language_model."
_HEAD_PROJ = f"{_TRUNK}head.proj"  # of a classifier that nobody asks; must be there


@dataclass(frozen=True)
class MlxDtype:
    """As mlx-community names them. `bits` of the decoder's and the embedding's matrices; all else
    is `kind`. `bounds`: of the self-check that it must hold to."""

    name: str
    kind: Literal["BF16", "F32"]
    bounds: str
    bits: int | None = None


MLX_DTYPES = {
    one.name: one
    for one in (
        MlxDtype("bf16", "BF16", "bf16"),
        MlxDtype("8bit", "BF16", "int8", 8),
        MlxDtype("4bit", "BF16", "int4", 4),
        MlxDtype("fp32", "F32", "fp32"),
    )
}


def _mlx_name(name: str, form: Form) -> str | None:
    """Of a canonical name; None for what this form has no place for."""
    if name.startswith(VISION):
        rest = name.removeprefix(VISION).replace("patch_embed.", "patch_embed.blocks.")
        return _TRUNK + rest if form == "whole" else None
    if name.startswith(PROJECTOR):
        index, part = name.removeprefix(PROJECTOR).split(".")
        linear = "mm_projector." if form == "whole" else "multi_modal_projector.linear_"
        return f"{linear}{index}.{part}"
    return _LANGUAGE + name


def _is_scale(name: str) -> bool:
    return name.rsplit(".", 1)[-1].startswith("layer_scale")


def _turned(name: str, array: Array) -> Array:
    """Channels last: kernels (O, I, H, W) -> (O, H, W, I), scales of layers (C, 1, 1) -> (1, 1,
    C)."""
    turned: Array = array
    if array.ndim == 4:
        turned = array.transpose(0, 2, 3, 1)
    elif _is_scale(name):
        turned = array.transpose(1, 2, 0)
    return turned


def _turned_back(name: str, array: Array) -> Array:
    turned: Array = array
    if array.ndim == 4:
        turned = array.transpose(0, 3, 1, 2)
    elif _is_scale(name):
        turned = array.transpose(2, 0, 1)
    return turned


# -- written ---------------------------------------------------------------------------------------


def mlx_items(source: Checkpoint, dtype: MlxDtype, form: Form, rows: int) -> list[Item]:
    """All that the folder holds; the embedding gets rows of zeros up to `rows` of them."""
    items = []
    for name, stored in source.tensors.items():
        named = _mlx_name(name, form)
        if named is None:
            continue
        grows = name in (EMBEDDING, HEAD) and stored.shape[0] < rows
        tensor: Stored = _grown(stored, rows) if grows else stored
        if dtype.bits and named.startswith(_LANGUAGE) and can_be_quantised(tensor.shape):
            items.append(_quantised(named, tensor, dtype.bits))
        else:
            items.append(_plain(named, tensor, dtype.kind))
    if form == "whole":
        unused = np.zeros((source.spec.vision.features, 1), np.float32)
        items.append(_plain(_HEAD_PROJ, InMemory("F32", unused.shape, unused), dtype.kind))
    return items


def _grown(tensor: Stored, rows: int) -> Stored:
    def compute() -> Float:
        array = read_float(tensor)
        more = np.zeros((rows - len(array), *array.shape[1:]), np.float32)
        return np.concatenate([array, more])

    return FusedTensor("grown", (rows, *tensor.shape[1:]), compute)


def _plain(name: str, tensor: Stored, kind: Literal["BF16", "F32"]) -> Item:
    shape = _turned(name, np.empty(tensor.shape, bool)).shape

    def pieces() -> Iterator[tuple[str, Array]]:
        if len(tensor.shape) != 2:  # kernels are turned whole: they are small
            yield name, _narrowed(_turned(name, tensor.read()), tensor.dtype, kind)
            return let_go(tensor)
        for run in rows_of(tensor):
            yield name, _narrowed(run, tensor.dtype, kind)

    return Item({name: Entry(kind, shape)}, pieces)


def _narrowed(array: Array, dtype: str, kind: str) -> Array:
    if dtype == kind:
        return array
    wide = widen(array, dtype)
    return wide if kind == "F32" else to_bf16(wide)


def _quantised(name: str, tensor: Stored, bits: int) -> Item:
    rows, columns = tensor.shape
    base = name.removesuffix(".weight")
    entries = {
        name: Entry("U32", (rows, columns * bits // 32)),
        f"{base}.scales": Entry("BF16", (rows, columns // GROUP)),
        f"{base}.biases": Entry("BF16", (rows, columns // GROUP)),
    }

    def pieces() -> Iterator[tuple[str, Array]]:
        for run in rows_of(tensor):
            yield from zip(entries, quantise(widen(run, tensor.dtype), bits), strict=True)

    return Item(entries, pieces)


# -- read back -------------------------------------------------------------------------------------


def read_mlx(
    folder: Path, config: Mapping[str, Any], source: Checkpoint, form: Form, text: Qwen2Spec
) -> Checkpoint:
    """The folder as a checkpoint that galago's engine runs, dequantised as it is read.

    `text`: its decoder by `config`. What `app` leaves out is the source's. ExportError for a
    tensor that is missing or has another shape.
    """
    found: dict[str, Stored] = {}
    for path in weight_files(folder):
        found |= SafetensorsFile(path).tensors
    bits = config.get("quantization", {}).get("bits")
    tensors: dict[str, Any] = {}
    for name, theirs in source.tensors.items():
        named = _mlx_name(name, form)
        shape = theirs.shape
        if name in (EMBEDDING, HEAD):
            shape = (text.vocab, *shape[1:])
        tensors[name] = theirs if named is None else _one(found, name, named, shape, bits)
    wanted = {_mlx_name(name, form) for name in source.tensors} | {_HEAD_PROJ}
    quantised = {n.removesuffix(".weight") for n in wanted if n}
    over = [n for n in found if n not in wanted and n.rsplit(".", 1)[0] not in quantised]
    if over or (form == "whole" and _HEAD_PROJ not in found):
        raise ExportError(f"the tensor {(over or [_HEAD_PROJ])[0]} is not where it should be")
    spec = replace(source.spec, text=text)
    return Checkpoint(folder, spec, tensors, (), {})


def _one(
    found: Mapping[str, Stored], name: str, named: str, shape: tuple[int, ...], bits: int | None
) -> Stored:
    base = named.removesuffix(".weight")
    parts = [found.get(one) for one in (named, f"{base}.scales", f"{base}.biases")]
    weight, scales, biases = parts
    if weight is None:
        raise ExportError(f"the tensor {named} is missing")

    def compute() -> Float:
        assert weight is not None
        if scales is not None and biases is not None and bits:
            array = dequantise(weight.read(), scales.read(), biases.read(), bits)
        else:
            array = np.ascontiguousarray(_turned_back(name, read_float(weight)))
        if array.shape != shape:
            raise ExportError(f"the tensor {named} has the shape {array.shape}, not {shape}")
        return array

    return FusedTensor(name, shape, compute)
