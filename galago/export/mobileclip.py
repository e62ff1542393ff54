"""A MobileCLIP as two ONNX graphs, straight from its tensors: pictures and words to vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float, Stored
from galago.engine.clip_weights import TABLE, image_items, read, text_items
from galago.engine.quantise import int8_rows
from galago.export.onnx_writer import OnnxWriter, Storage
from galago.export.tensor_data import TensorData
from galago.export.towers import image_tower, text_tower
from galago.export.writer import Get

__all__ = ["CLIP_DTYPES", "CLIP_GRAPHS", "ClipDtype", "clip_file", "write_image", "write_text"]


@dataclass(frozen=True)
class ClipDtype:
    """One of transformers.js' names: the end of the files' names, and how graphs store."""

    name: str
    suffix: str
    storage: Storage


# Activations stay floating point: towers with 8-bit activations lose what they know.
CLIP_DTYPES = {
    one.name: one
    for one in (
        ClipDtype("fp32", "", Storage()),
        ClipDtype("fp16", "_fp16", Storage(half=True)),
        ClipDtype("int8", "_int8", Storage(int8=True)),
        ClipDtype("q8", "_quantized", Storage(int8=True)),
    )
}
CLIP_GRAPHS = ("vision_model", "text_model")


def clip_file(graph: str, dtype: ClipDtype) -> str:
    return f"{graph}{dtype.suffix}.onnx"


def write_image(checkpoint: ClipCheckpoint, dtype: ClipDtype, path: Path) -> int:
    """pixel_values (B, 3, side, side) -> image_embeds (B, embed), float32, not normalised.

    As write_text: how many files of weights lie beside it.
    """
    spec = checkpoint.spec
    g = _Towers(CLIP_GRAPHS[0], TensorData(path), dtype.storage)
    side = spec.image.side
    pixels = g.input("pixel_values", TensorProto.FLOAT, ["batch_size", 3, side, side])
    get = _reader(dict(image_items(checkpoint, split=False)))
    out = g.end(image_tower(g, g.begin(pixels), get, spec))
    g.output(out, "image_embeds", TensorProto.FLOAT, ["batch_size", spec.embed])
    return g.save()


def write_text(checkpoint: ClipCheckpoint, dtype: ClipDtype, path: Path) -> int:
    """input_ids int64 (B, context) -> text_embeds (B, embed), float32, not normalised."""
    spec = checkpoint.spec
    g = _Towers(CLIP_GRAPHS[1], TensorData(path), dtype.storage)
    length: int | str = "sequence_length" if spec.text.causal else spec.text.context
    ids = g.input("input_ids", TensorProto.INT64, ["batch_size", length])
    weights = dict(text_items(checkpoint))
    weights[TABLE] = checkpoint.tensors[TABLE]
    out = g.end(text_tower(g, ids, _reader(weights), spec.text))
    g.output(out, "text_embeds", TensorProto.FLOAT, ["batch_size", spec.embed])
    return g.save()


def _reader(weights: dict[str, Float | Stored]) -> Get:
    """By names; what need not be read again is not held."""

    def get(name: str) -> Float:
        found = weights[name]
        return found if isinstance(found, np.ndarray) else read(found)

    return get


class _Towers(OnnxWriter):
    """The operations of towers."""

    def parameter(self, name: str, get: Get) -> str:
        return self.weight(name, get(name), whole=True)

    def patches(self, x: str, name: str, get: Get, kernel: int, padding: int, *, bias: bool) -> str:
        inputs = [x, self.weight(f"{name}.weight", get(f"{name}.weight"))]
        if bias:
            inputs.append(self.weight(f"{name}.bias", get(f"{name}.bias")))
        return self.one(
            "Conv",
            *inputs,
            kernel_shape=[kernel] * 2,
            strides=[kernel] * 2,
            pads=[padding] * 4,
        )

    def behind(self, first: str, x: str, width: int) -> str:
        batch = self.one("Gather", self.one("Shape", x), self.integers(0))
        shape = self.one("Concat", batch, self.integers(1, width), axis=0)
        return self.one("Concat", self.one("Expand", first, shape), x, axis=1)

    def token(self, x: str, at: int | str) -> str:
        if isinstance(at, int):
            return self.one("Gather", x, self.scalar(at), axis=1)
        return self.one("GatherND", x, at, batch_dims=1)

    def flat(self, x: str) -> str:
        return self.one("Flatten", x)

    def beginning(self, x: str, of: str) -> str:
        length = self.one("Gather", self.one("Shape", of), self.integers(1))
        return self.one("Slice", x, self.integers(0), length, self.integers(0))

    def lookup(self, name: str, get: Get, ids: str) -> str:
        table = get(f"{name}.weight")
        if not self.narrow:
            return self.one("Gather", self.weight(f"{name}.weight", table), ids)
        values, scale = int8_rows(table)
        rows = self.one("Gather", self.constant(f"{name}.int8", values), ids)
        wide = self.cast(rows, TensorProto.FLOAT)
        return self.multiply(wide, self.one("Gather", self.constant(f"{name}.scale", scale), ids))

    def end_of(self, ids: str) -> str:
        return self.one("ArgMax", ids, axis=1, keepdims=1)

    def causal_attention(self, joint: str, width: int, heads: int, context: int) -> str:
        """Written out with a mask: a text has 77 tokens."""
        dim = width // heads
        sizes = self.integers(width, width, width)
        query, key, value = self.node("Split", joint, sizes, outputs=3, axis=-1)
        shape = self.integers(0, 0, heads, dim)

        def split(x: str, order: list[int]) -> str:
            return self.one("Transpose", self.one("Reshape", x, shape), perm=order)

        scaled = self.multiply(
            query, self.weight(f"scale_{dim}", np.array([dim**-0.5], np.float32))
        )
        scores = self.one("MatMul", split(scaled, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
        scores = self.add(scores, self._mask(joint, context))
        mixed = self.one("MatMul", self.one("Softmax", scores, axis=-1), split(value, [0, 2, 1, 3]))
        merged = self.one("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.one("Reshape", merged, self.integers(0, 0, width))

    def _mask(self, of: str, context: int) -> str:
        """(N, N): far below any score where a token may not look, within float16's range."""
        whole = np.triu(np.full((context, context), -1e4, np.float32), 1)
        mask = self.weight("causal_mask", whole, whole=True)
        length = self.one("Gather", self.one("Shape", of), self.integers(1))
        ends = self.one("Concat", length, length, axis=0)
        return self.one("Slice", mask, self.integers(0, 0), ends, self.integers(0, 1))

    def row(self, x: str) -> str:
        return self.one("Unsqueeze", self.one("Transpose", x, perm=[0, 2, 1]), self.integers(2))

    def from_row(self, x: str) -> str:
        return self.one("Transpose", self.one("Squeeze", x, self.integers(2)), perm=[0, 2, 1])

    def projection(self, x: str, name: str, get: Get) -> str:
        return self.one("MatMul", x, self.matrix(name, np.ascontiguousarray(get(name).T)))
