"""MobileCLIP's towers compiled: pixels or ids in, vectors out.

Weights are folded, and in int8 quantised, while they are read; sessions are made by galago/
mobileclip.py and know nothing of files of pictures or of words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galago import layout, quantise
from galago.clip_checkpoint import ClipCheckpoint
from galago.errors import ModelError, OptionError
from galago.graph import clip, fastvit, ov
from galago.layout import CLIP_TRUNK as TRUNK
from galago.layout import TEXT_BLOCKS
from galago.safetensors import Stored
from galago.sessions import native_bf16, options
from galago.specs import FastViTSpec
from galago.weights import InMemory

Float = npt.NDArray[np.float32]
ClipPrecision = Literal["fp32", "bf16", "int8"]
CLIP_PRECISIONS = ("auto", "fp32", "bf16", "int8")
_SMALL = 50_000_000  # parameters; below, full precision costs nothing (galago/precision.py)


def check_clip_precision(wanted: str) -> None:
    """OptionError for a precision that MobileCLIP doesn't run in."""
    if wanted not in CLIP_PRECISIONS:
        known = ", ".join(CLIP_PRECISIONS)
        raise OptionError(f"precision {wanted!r} is not possible here: use one of {known}")


def resolve_clip_precision(wanted: str, checkpoint: ClipCheckpoint) -> ClipPrecision:
    """auto -> bf16 where the processor multiplies it and the model is large, else fp32."""
    if wanted == "auto":
        size = sum(int(np.prod(t.shape)) for t in checkpoint.tensors.values())
        return "bf16" if size > _SMALL and native_bf16() else "fp32"
    check_clip_precision(wanted)
    return wanted  # type: ignore[return-value]


def image_items(checkpoint: ClipCheckpoint) -> Iterator[tuple[str, Float]]:
    """The image tower's tensors by the names that graph/clip.py asks for, folded, float32."""
    spec = checkpoint.spec.vision

    def get(name: str) -> Float:
        return _read(checkpoint.tensors[TRUNK + name])

    if isinstance(spec, FastViTSpec):
        trunk = fastvit.fold(lambda name: get(layout.llava_to_timm(name, spec)), spec)
        for name, array in trunk:
            yield TRUNK + name, array
        for part in ("weight", "bias"):
            yield f"{TRUNK}head.fc.{part}", get(f"head.fc.{part}")
        return
    folded = {}
    for index in (0, 1) if spec.stem == "conv" else ():
        stem = f"patch_embed.backbone.{index}"
        gain, shift = fastvit.batch_norm(get, f"{stem}.bn")
        folded[f"{stem}.conv.weight"] = get(f"{stem}.conv.weight") * gain[:, None, None, None]
        folded[f"{stem}.conv.bias"] = shift
    for name, array in folded.items():
        yield TRUNK + name, array
    for name in checkpoint.tensors:
        rest = name.removeprefix(TRUNK)
        if name != rest and rest not in folded and ".bn." not in rest:
            yield name, get(rest)


def text_items(checkpoint: ClipCheckpoint) -> Iterator[tuple[str, Float]]:
    """The text tower's tensors by the names that graph/clip.py asks for, folded, float32."""
    spec = checkpoint.spec.text
    ends = (0, spec.layers + 1) if spec.mixers else ()
    mixers = [f"{TEXT_BLOCKS}{index}" for index in ends]
    for mixer in mixers:
        yield from fastvit.fold_mixer(lambda name: _read(checkpoint.tensors[name]), mixer)
    for name, stored in checkpoint.tensors.items():
        if name.startswith("text.") and not any(name.startswith(f"{m}.") for m in mixers):
            yield name, _read(stored)


def _read(stored: Stored) -> Float:
    """A copy in float32; the file's own pages are let go, for they are not needed again."""
    array: Float = quantise.read_float(stored).copy()
    release = getattr(stored, "release", None)
    if release is not None:
        release()
    return array


def _stored(items: Iterator[tuple[str, Float]], precision: ClipPrecision) -> dict[str, InMemory]:
    """In the form that is kept in memory: int8 for matrices only, tables and kernels in bf16."""
    kept: dict[str, InMemory] = {}
    for name, array in items:
        matrix = array.ndim == 2 and name.endswith(".weight") and "embedding" not in name
        if precision == "int8" and matrix:
            rows, scale = quantise.int8_rows(array)
            kept[name] = InMemory("I8", rows.shape, rows)
            kept[f"{name}.scale"] = InMemory("F32", scale.shape, scale)
        elif precision == "fp32":
            kept[name] = InMemory("F32", array.shape, np.ascontiguousarray(array, np.float32))
        else:
            kept[name] = InMemory("BF16", array.shape, quantise.to_bf16(array))
    return kept


class ImageTower:
    """Not for several threads at once; make one for each."""

    def __init__(
        self, checkpoint: ClipCheckpoint, precision: ClipPrecision, *, threads: int | None = None
    ) -> None:
        self.spec = checkpoint.spec
        self._weights = _stored(image_items(checkpoint), precision)
        model = clip.image_tower(self._weights, self.spec)
        self._request = _compile(model, precision, threads)

    def __call__(self, pixel_values: Float) -> Float:
        """(B, 3, side, side) float32 -> image features (B, embed) float32, not normalised."""
        side = self.spec.image.side
        pixels = np.ascontiguousarray(pixel_values, dtype=np.float32)
        if pixels.ndim != 4 or pixels.shape[1:] != (3, side, side):
            raise OptionError(
                f"pixel values have shape {pixels.shape}; (batch, 3, {side}, {side}) is needed"
            )
        return _run(self._request, {"pixel_values": pixels})


class TextTower:
    """Not for several threads at once; make one for each."""

    def __init__(
        self, checkpoint: ClipCheckpoint, precision: ClipPrecision, *, threads: int | None = None
    ) -> None:
        self.spec = checkpoint.spec.text
        self._weights = _stored(text_items(checkpoint), precision)
        model = clip.text_tower(self._weights, self.spec)
        self._request = _compile(model, precision, threads)

    def __call__(self, ids: npt.NDArray[np.int64]) -> Float:
        """(B, context) int64, zeros behind the end token -> text features (B, embed) float32."""
        if ids.ndim != 2 or ids.shape[1] != self.spec.context:
            raise OptionError(f"ids have shape {ids.shape}; (batch, {self.spec.context}) is needed")
        ends = ids.argmax(axis=1)  # the end token has the highest id, as CLIP's code relies on
        if self.spec.causal and len(ids):
            ids = ids[:, : int(ends.max()) + 1]
        return _run(self._request, {"ids": np.ascontiguousarray(ids), "ends": ends})


def _compile(model: ov.Model, precision: ClipPrecision, threads: int | None) -> ov.InferRequest:
    core = ov.Core()
    hint = "bf16" if precision != "fp32" and native_bf16(core) else "f32"
    compiled = core.compile_model(model, "CPU", options(hint, threads, None))
    return compiled.create_infer_request()


def _run(request: ov.InferRequest, inputs: dict[str, Any]) -> Float:
    request.infer(inputs, share_inputs=True)
    out = np.array(request.get_output_tensor(0).data, dtype=np.float32)
    if not np.isfinite(out).all():
        raise ModelError(
            "the model computed something that is not a number; try precision fp32, "
            "and if that doesn't help fetch the model again"
        )
    return out
