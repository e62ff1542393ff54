"""A checkpoint's tensors in the form the networks are built from: folded, quantised, in order.

One generator serves both ways of use: converting writes the items to disk one after the other,
loading a small model collects them in memory. No item holds data; its `runs` read, compute and
yield runs of rows, so that memory stays bounded by one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from galago.checkpoints.names import EMBEDDING, HEAD, VISION, projector_shapes, slots, text_shapes
from galago.checkpoints.tensors import (
    Array,
    Entry,
    Float,
    InMemory,
    Stored,
    Tensor,
    read_float,
    to_bf16,
    widen,
)
from galago.checkpoints.vlm import Checkpoint
from galago.engine import quantise
from galago.engine.folding import fold
from galago.engine.precision import PrecisionPlan, VisionPrecision
from galago.specs import FastViTSpec, VLMSpec

_RUN_BYTES = 64 << 20


@dataclass(frozen=True)
class Item:
    """Tensors to be stored together, and how to make them run by run.

    Each run is a tuple with one array for each of `entries`; a tensor is the concatenation of its
    arrays along the first axis.
    """

    entries: tuple[tuple[str, Entry], ...]
    runs: Callable[[], Iterator[tuple[Array, ...]]]


@dataclass(frozen=True)
class Int8Layers:
    """Which layers of the trunk run in 8 bits: llava names -> ranges of their inputs.

    `gains` (C,): what their inputs' channels are divided by, and their columns multiplied with.
    `top` is the largest magnitude of their weights (engine.processor.exact_products); with 127 all
    matrices are in 8 bits as well.
    """

    ranges: Mapping[str, quantise.Range]
    gains: Mapping[str, Float]
    top: int

    @property
    def exact(self) -> bool:
        """Made for processors that add products of whole bytes exactly."""
        return self.top == quantise.FULL_TOP


def collect(items: Iterator[Item]) -> dict[str, InMemory]:
    """Everything at once: for models small enough to be loaded without converting."""
    tensors: dict[str, InMemory] = {}
    for item in items:
        runs = list(item.runs())
        for index, (name, entry) in enumerate(item.entries):
            parts = [run[index] for run in runs]
            whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
            tensors[name] = InMemory(entry.dtype, entry.shape, whole)
    return tensors


def vision_items(
    checkpoint: Checkpoint,
    precision: VisionPrecision,
    int8_layers: Int8Layers | None = None,
) -> Iterator[Item]:
    """The folded trunk and the projector in fp32, bf16 or int8.

    In int8 the `int8_layers` run in bytes over their ranges, and so do all matrices, where the
    processor adds 8-bit products exactly, over ranges that the engine finds for each 128 numbers of
    an input; the rest is bf16.
    """
    narrow = int8_layers or Int8Layers({}, {}, 0)
    divided = {depthwise_before(layer): gain for layer, gain in narrow.gains.items()}
    trunk = checkpoint.spec.vision

    def get(name: str) -> Float:
        return read_float(checkpoint.tensors[VISION + name])

    for name, array in fold(get, trunk):
        name = VISION + name
        layer, _, part = name.rpartition(".")
        if layer in divided:
            array = array / divided[layer].reshape(-1, *[1] * (array.ndim - 1))
        if part == "weight" and layer in narrow.ranges:
            if layer in narrow.gains:
                array = array * narrow.gains[layer].reshape(1, -1, 1, 1)
            yield _range_item(layer, array, narrow.ranges[layer], narrow.top)
        elif narrow.exact and part == "weight" and is_product(layer, array.ndim, trunk):
            yield _matrix_item(name, array)
        else:
            yield _float_item(name, array, precision)
    for name in projector_shapes(trunk.features, checkpoint.spec.projector):
        array = read_float(checkpoint.tensors[name])
        matrix = narrow.exact and array.ndim == 2
        yield _matrix_item(name, array) if matrix else _float_item(name, array, precision)


def identity_of(tensors: Mapping[str, Stored], spec: VLMSpec) -> str:
    """What tells this model's features from another's, wherever its files are: 32 letters.

    Made of how pictures are prepared, the shape of the trunk and the projector's biases, as
    whatever changes vision in training changes these; every precision keeps at least the bf16 of
    them, so that it is no part of it.  A language model trained on alone reads the same features.
    """
    digest = hashlib.blake2b(f"{spec.image} {spec.vision}".encode(), digest_size=16)
    for name in projector_shapes(spec.vision.features, spec.projector):
        if name.endswith(".bias"):
            digest.update(to_bf16(read_float(tensors[name])).tobytes())
    return digest.hexdigest()


def is_product(layer: str, dimensions: int, spec: FastViTSpec) -> bool:
    """Whether a layer of the trunk is a product of matrices: those of attention, and the last
    stage's narrowing layers (ops.pointwise)."""
    *_, last = slots(spec)
    narrowing = layer.startswith(f"{VISION}network.{last.index}.") and layer.endswith(".fc2")
    return dimensions == 2 or (narrowing and spec.mixers[-1] == "attention")


def depthwise_before(layer: str) -> str:
    """The depthwise convolution whose result is exactly the layer's input ("" when none is)."""
    block, _, part = layer.rpartition(".")
    return f"{block}.conv" if part == "fc1" else ""


def _float_item(name: str, array: Float, precision: VisionPrecision) -> Item:
    wide = precision == "fp32"
    stored = np.ascontiguousarray(array) if wide else to_bf16(array)
    entry = Entry("F32" if wide else "BF16", tuple(stored.shape))
    return Item(((name, entry),), lambda: iter([(stored,)]))


def _range_item(layer: str, array: Float, span: quantise.Range, top: int) -> Item:
    rows = len(array)
    entries = (
        (f"{layer}.weight", Entry("I8", array.shape)),
        (f"{layer}.weight.scale", Entry("F32", (rows, 1, 1, 1))),
        (f"{layer}.range", Entry("F32", (2,))),
    )

    def runs() -> Iterator[tuple[Array, ...]]:
        values, scale = quantise.int8_rows(array.reshape(rows, -1), top)
        ends = np.array(span, np.float32)
        yield values.reshape(array.shape), scale.reshape(rows, 1, 1, 1), ends

    return Item(entries, runs)


def _matrix_item(name: str, array: Float) -> Item:
    """Of a layer whose input the engine quantises as it comes."""
    rows = len(array)
    entries = (
        (name, Entry("I8", array.shape)),
        (f"{name}.scale", Entry("F32", (rows, 1))),
    )

    def runs() -> Iterator[tuple[Array, ...]]:
        values, scale = quantise.int8_rows(array.reshape(rows, -1))
        yield values.reshape(array.shape), scale

    return Item(entries, runs)


def language_items(checkpoint: Checkpoint, plan: PrecisionPlan) -> Iterator[Item]:
    """The decoder; lm_head is always written out."""
    tensors, text = checkpoint.tensors, checkpoint.spec.text
    for name in text_shapes(text):
        if name not in (EMBEDDING, HEAD):
            yield _language_item(name, tensors[name], plan)
    yield _language_item(HEAD, tensors[EMBEDDING if text.tied else HEAD], plan)


def embedding_item(checkpoint: Checkpoint) -> Item:
    """The embedding table as stored: rows are looked up, never multiplied."""
    return _as_stored(EMBEDDING, checkpoint.tensors[EMBEDDING])


def language_entries(
    name: str, shape: tuple[int, ...], plan: PrecisionPlan
) -> tuple[tuple[str, Entry], ...] | None:
    """What a tensor of the decoder is stored as: values and scales; None: as it comes.

    lm_head is in int8 when the layers are int4: it decides between neighbouring words.
    """
    if len(shape) != 2 or name == EMBEDDING or plan.language in ("fp32", "bf16"):
        return None
    rows, columns = shape
    int4 = plan.language == "int4" and name != HEAD
    size = quantise.group_size(columns, plan.group) if int4 else 0
    if size:
        return (
            (name, Entry("U8", (rows, columns // 2))),
            (f"{name}.scale", Entry("F32", (rows, columns // size, 1))),
        )
    return (name, Entry("I8", (rows, columns))), (f"{name}.scale", Entry("F32", (rows, 1)))


def _language_item(name: str, tensor: Tensor, plan: PrecisionPlan) -> Item:
    entries = language_entries(name, tensor.shape, plan)
    if entries is None:
        return _as_stored(name, tensor)
    values, scales = (entry for _, entry in entries)
    if values.dtype == "I8":
        return Item(entries, lambda: _runs(tensor, quantise.int8_rows))
    size = tensor.shape[1] // scales.shape[1]
    return Item(entries, lambda: _runs(tensor, lambda m: quantise.int4_groups(m, size)))


def _as_stored(name: str, tensor: Tensor) -> Item:
    def runs() -> Iterator[tuple[Array, ...]]:
        yield (tensor.read(),)

    return Item(((name, Entry(tensor.dtype, tensor.shape)),), runs)


def _runs(
    tensor: Tensor, quantised: Callable[[Float], tuple[Array, ...]]
) -> Iterator[tuple[Array, ...]]:
    rows, columns = tensor.shape
    step = max(1, _RUN_BYTES // (4 * columns))
    stored = tensor.read()
    for start in range(0, rows, step):
        yield quantised(widen(stored[start : start + step], tensor.dtype))
