"""A FastVLM as three ONNX graphs, straight from its tensors: vision, embedding, decoder.

Names, shapes and types of inputs and outputs are those that transformers.js asks for: the empty
cache is made from the graph's own input shapes, so that only the batch ("batch_size") and lengths
may be names.  Features are copied into embeddings by the program, so both are float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnx import TensorProto

from galago.checkpoints.names import EMBEDDING, HEAD, PROJECTOR, VISION
from galago.checkpoints.tensors import Array, Float, let_go, read_float, widen
from galago.checkpoints.vlm import Checkpoint
from galago.engine.folding import fold
from galago.engine.quantise import int8_rows
from galago.export.decoder import decoder
from galago.export.onnx_writer import MICROSOFT, OnnxWriter, Shape, Storage
from galago.export.tensor_data import TensorData
from galago.export.trunk import projector, trunk
from galago.export.writer import Get
from galago.specs import Qwen2Spec

__all__ = [
    "DTYPES",
    "GRAPHS",
    "Dtype",
    "file_name",
    "write_decoder",
    "write_embedding",
    "write_vision",
]


@dataclass(frozen=True)
class Dtype:
    """One of transformers.js' names: the end of the files' names, and how each graph stores."""

    name: str
    suffix: str
    vision: Storage
    decoder: Storage
    table: str  # float32, float16 or int8

    @property
    def half_cache(self) -> bool:
        return self.decoder.half


_NARROW = Storage(int8=True)
DTYPES = {
    one.name: one
    for one in (
        Dtype("fp32", "", Storage(), Storage(), "float32"),
        Dtype("fp16", "_fp16", Storage(half=True), Storage(half=True), "float16"),
        Dtype("int8", "_int8", _NARROW, _NARROW, "int8"),
        Dtype("q8", "_quantized", _NARROW, Storage(bits=8), "int8"),
        Dtype("q4", "_q4", _NARROW, Storage(bits=4), "int8"),
        Dtype("q4f16", "_q4f16", Storage(half=True), Storage(half=True, bits=4), "float16"),
    )
}
GRAPHS = ("vision_encoder", "embed_tokens", "decoder_model_merged")

_BATCH, _NEW = "batch_size", "sequence_length"
_PAST, _ALL = "past_sequence_length", "total_sequence_length"
_COARSE, _FINE = 128, 64  # positions of the rotary tables: their product
_ROWS = 8192  # of an embedding table at once


def file_name(graph: str, dtype: Dtype) -> str:
    return f"{graph}{dtype.suffix}.onnx"


def write_vision(checkpoint: Checkpoint, dtype: Dtype, path: Path, wide_from: str | None) -> int:
    """pixel_values (B, 3, H, W) -> image_features (B, tokens, hidden), both float32.

    `wide_from`: the stage from which on float32 is used although the rest is float16
    (galago/export/overflow.py).  As all writers: how many files of weights lie beside it.
    """
    spec = checkpoint.spec
    storage = replace(dtype.vision, wide_from=wide_from)
    if wide_from == GRAPHS[0]:  # the very beginning
        storage = Storage()
    g = OnnxWriter(GRAPHS[0], TensorData(path), storage)
    pixels = g.input("pixel_values", TensorProto.FLOAT, [_BATCH, 3, "height", "width"])
    get = folded(checkpoint)
    seen = trunk(g, g.begin(pixels), get, spec.vision)
    features = g.end(projector(g, seen, get, spec.vision.features))
    shape: Shape = [_BATCH, "num_image_tokens", spec.text.hidden]
    g.output(features, "image_features", TensorProto.FLOAT, shape)
    return g.save()


def folded(checkpoint: Checkpoint) -> Get:
    """Reads the folded trunk's tensors in their order, and the projector's; float32."""
    made: dict[str, Float] = {}
    rest = fold(
        lambda name: read_float(checkpoint.tensors[VISION + name]),
        checkpoint.spec.vision,
        split=False,
    )

    def get(name: str) -> Float:
        if name.startswith("projector."):
            return read_float(checkpoint.tensors[PROJECTOR + name.removeprefix("projector.")])
        while name not in made:  # in nearly the same order: few are held
            made.update([next(rest)])
        return made.pop(name)

    return get


def write_embedding(checkpoint: Checkpoint, dtype: Dtype, path: Path, rows: int) -> int:
    """input_ids int64 (B, T) -> inputs_embeds float32 (B, T, hidden).

    The table gets rows of zeros up to `rows` of them, so that the id of a picture has one.
    """
    g = OnnxWriter("embed_tokens", TensorData(path), Storage())
    ids = g.input("input_ids", TensorProto.INT64, [_BATCH, _NEW])
    stored = checkpoint.tensors[EMBEDDING]
    hidden = checkpoint.spec.text.hidden

    def parts() -> Iterator[Float]:
        table = stored.read()
        for start in range(0, len(table), _ROWS):
            yield widen(table[start : start + _ROWS], stored.dtype)
        yield np.zeros((rows - len(table), hidden), np.float32)

    if dtype.table == "int8":
        scales: list[Float] = []

        def values() -> Iterator[Array]:
            for part in parts():
                narrow, scale = int8_rows(part)
                scales.append(scale)
                yield narrow

        table = g.stream("embed_tokens.int8", TensorProto.INT8, (rows, hidden), values())
        scale = g.constant("embed_tokens.scale", np.concatenate(scales))
        wide = g.cast(g.one("Gather", table, ids), TensorProto.FLOAT)
        embeds = g.multiply(wide, g.one("Gather", scale, ids))
    else:
        kind = TensorProto.FLOAT if dtype.table == "float32" else TensorProto.FLOAT16
        table = g.stream("embed_tokens.weight", kind, (rows, hidden), parts())
        embeds = g.one("Gather", table, ids)
        if kind != TensorProto.FLOAT:
            embeds = g.cast(embeds, TensorProto.FLOAT)
    g.output(embeds, "inputs_embeds", TensorProto.FLOAT, [_BATCH, _NEW, hidden])
    let_go(stored)
    return g.save()


def write_decoder(checkpoint: Checkpoint, dtype: Dtype, path: Path) -> int:
    """inputs_embeds (B, T, hidden) and the cache -> logits (B, 1, vocab) of the last token.

    Only that row is used in generation, and returning it alone works in every version of
    transformers.js; of 285 tokens of FastVLM-0.5B all rows would be 173 MB.
    """
    spec = checkpoint.spec.text
    g = _Decoder(TensorData(path), dtype.decoder, spec)
    embeds = g.input("inputs_embeds", TensorProto.FLOAT, [_BATCH, _NEW, spec.hidden])
    g.input("attention_mask", TensorProto.INT64, [_BATCH, _ALL])
    past: Shape = [_BATCH, spec.kv_heads, _PAST, spec.head_dim]
    names = [f"{index}.{part}" for index in range(spec.layers) for part in ("key", "value")]
    for name in names:
        g.input(f"past_key_values.{name}", g.kind, past)
    cache = g.kind

    def get(name: str) -> Float:
        tensor = checkpoint.tensors[name]
        array = read_float(tensor)
        if tensor.dtype == "F32":  # a view of the file, whose pages are let go
            array = np.array(array)
        let_go(tensor)
        return array

    head = (EMBEDDING if spec.tied else HEAD).removesuffix(".weight")
    bits = dtype.decoder.bits or 0
    out = decoder(g, g.begin(embeds), get, spec, head=head, head_bits=bits)
    g.output(g.end(out), "logits", TensorProto.FLOAT, [_BATCH, "num_logits", spec.vocab])
    for name in names:
        shape: Shape = [_BATCH, spec.kv_heads, _ALL, spec.head_dim]
        g.output(f"present.{name}", f"present.{name}", cache, shape)
    return g.save()


class _Decoder(OnnxWriter):
    """With what GroupQueryAttention asks for in every layer: lengths and rotary tables."""

    def __init__(self, data: TensorData, storage: Storage, spec: Qwen2Spec) -> None:
        super().__init__("decoder_model_merged", data, storage)
        self._spec = spec
        self._shared: Sequence[str] = ()

    def cached_attention(self, joint: str, layer: int) -> str:
        spec = self._spec
        if not self._shared:
            self._shared = (*self._lengths(), *self._rotary())
        outputs = [f"attention.{layer}", f"present.{layer}.key", f"present.{layer}.value"]
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        self.node(
            *("GroupQueryAttention", joint, "", "", *past, *self._shared),
            outputs=outputs,
            domain=MICROSOFT,
            num_heads=spec.heads,
            kv_num_heads=spec.kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
            scale=float(spec.head_dim**-0.5),
            local_window_size=-1,
        )
        return outputs[0]

    def _lengths(self) -> tuple[str, str]:
        """Places of the last tokens (B,), and of how many there are."""
        counts = self.one("ReduceSum", "attention_mask", self.integers(1), keepdims=0)
        lasts = self.cast(self.one("Sub", counts, self.integers(1)), TensorProto.INT32)
        total = self.one("Gather", self.one("Shape", "attention_mask"), self.scalar(1))
        return lasts, self.cast(total, TensorProto.INT32)

    def _rotary(self) -> tuple[str, str]:
        """Tables (positions, head_dim / 2) of cosines and sines.

        By cos(a + b) = cos a cos b - sin a sin b from every 64th position and the 64 between, which
        programs do once when they load the graph: 2 MB of tables become 50 kB, to 1e-7 as exact.
        """
        half = self._spec.head_dim // 2
        turns = self._spec.rope_theta ** (-np.arange(half, dtype=np.float64) / half)
        coarse = np.outer(np.arange(_COARSE) * _FINE, turns)[:, None]  # (128, 1, half)
        fine = np.outer(np.arange(_FINE), turns)[None]  # (1, 64, half)
        cos_a, sin_a, cos_b, sin_b = (
            self.constant(f"rotary.{name}", array.astype(np.float32))
            for name, array in (
                ("cos_coarse", np.cos(coarse)),
                ("sin_coarse", np.sin(coarse)),
                ("cos_fine", np.cos(fine)),
                ("sin_fine", np.sin(fine)),
            )
        )
        times = self.multiply
        cos = self.one("Sub", times(cos_a, cos_b), times(sin_a, sin_b))
        sin = self.add(times(sin_a, cos_b), times(cos_a, sin_b))
        flat = self.integers(_COARSE * _FINE, half)
        tables = (self.one("Reshape", table, flat) for table in (cos, sin))
        cos, sin = (self.cast(t, self.kind) if self._half else t for t in tables)
        return cos, sin
