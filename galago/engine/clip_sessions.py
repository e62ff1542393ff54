"""MobileCLIP's towers compiled: pixels or ids in, vectors out.

Weights that change nothing on their way stay in their file, which the engine reads when it packs
its own copy; the others are folded, and in int8 quantised, while they are read. Sessions are made
by galago/mobileclip.py and know nothing of files of pictures or of words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galago import layout, quantise
from galago.clip_checkpoint import ClipCheckpoint
from galago.errors import ModelError, OptionError
from galago.graph import clip, fastvit, ov
from galago.graph_cache import GraphCache, Shared, compiled
from galago.layout import CLIP_TRUNK as TRUNK
from galago.layout import TEXT_BLOCKS
from galago.safetensors import LazyTensor, Stored
from galago.sessions import Weights, native_bf16, options
from galago.specs import ClipSpec, ClipTextSpec, FastViTSpec
from galago.weights import InMemory

Float = npt.NDArray[np.float32]
ClipPrecision = Literal["fp32", "bf16", "int8"]
CLIP_PRECISIONS = ("auto", "fp32", "bf16", "int8")
_TABLE = "text.token_embedding.weight"
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


def image_items(checkpoint: ClipCheckpoint) -> Iterator[tuple[str, Float | Stored]]:
    """The image tower's tensors by the names that graph/clip.py asks for; folded in float32."""
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
        yield from fastvit.fold_mixer(lambda name: _read(checkpoint.tensors[name]), mixer)
    for name, stored in checkpoint.tensors.items():
        folded = name == _TABLE or any(name.startswith(f"{mixer}.") for mixer in mixers)
        if name.startswith("text.") and not folded:
            yield name, stored


def _read(stored: Stored) -> Float:
    """A copy in float32; the file's own pages are let go, for they are not needed again."""
    array: Float = quantise.read_float(stored).copy()
    _let_go(stored)
    return array


def _let_go(stored: Stored) -> None:
    """Of a memory-mapped tensor: drop its pages, which are read again if they are needed at all."""
    release = getattr(stored, "release", None)
    if release is not None:
        release()


def _kept(
    items: Iterator[tuple[str, Float | Stored]], precision: ClipPrecision, *, native: bool
) -> dict[str, Stored]:
    """In the form that is kept in memory: int8 for matrices only, tables and kernels in bf16.

    float32 of a file is left there where the engine rounds it itself, if it has to (`native`: the
    processor multiplies bf16).
    """
    kept: dict[str, Stored] = {}
    as_it_is = precision == "fp32" or (precision == "bf16" and native)
    for name, found in items:
        if isinstance(found, LazyTensor) and as_it_is and _sharable(found):
            kept[name] = found
            continue
        array = found if isinstance(found, np.ndarray) else _read(found)
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


def _sharable(stored: LazyTensor) -> bool:
    """Whether the engine can read a tensor where it lies: float32, in order, at a whole address."""
    if stored.dtype != "F32":
        return False
    flags = stored.read().flags
    return flags.c_contiguous and flags.aligned


class _Tower:
    """A compiled graph and the weights that it shares."""

    def __init__(self, made: ov.CompiledModel, shared: Shared) -> None:
        self._request = made.create_infer_request()
        self._shared = shared  # the compiled graph goes on using some of them in place
        self._packed = False

    def run(self, inputs: dict[str, Any]) -> Float:
        self._request.infer(inputs, share_inputs=True)
        if not self._packed:  # by the first run all large ones are
            self._packed = True
            self._shared.let_go()
        out = np.array(self._request.get_output_tensor(0).data, dtype=np.float32)
        if not np.isfinite(out).all():
            raise ModelError(
                "the model computed something that is not a number; try precision fp32, "
                "and if that doesn't help fetch the model again"
            )
        return out


@dataclass(frozen=True)
class _Chosen:
    precision: ClipPrecision
    threads: int | None
    cache: GraphCache | None

    @classmethod
    def of(
        cls,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        threads: int | None,
        cache_dir: Path | None,
    ) -> _Chosen:
        file = checkpoint.file
        cache = None if cache_dir is None or file is None else GraphCache(cache_dir, file)
        return cls(precision, threads, cache)


def _compiled(
    build: Callable[[Weights], ov.Model],
    items: Iterator[tuple[str, Float | Stored]],
    chosen: _Chosen,
    spec: ClipSpec | ClipTextSpec,
) -> _Tower:
    """`items` are only made when the compiled graph isn't in the cache."""
    core = ov.Core()
    native = native_bf16(core)

    def built() -> tuple[ov.Model, Weights]:
        weights = _kept(items, chosen.precision, native=native)
        return build(weights), weights

    settings = options("bf16" if chosen.precision != "fp32" and native else "f32", chosen.threads)
    return _Tower(*compiled(core, built, settings, chosen.cache, (chosen.precision, spec)))


class ImageTower:
    """Not for several threads at once; make one for each.

    `cache_dir` keeps compiled graphs there for the next time; None keeps nothing.
    """

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        *,
        threads: int | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self.spec = spec = checkpoint.spec
        chosen = _Chosen.of(checkpoint, precision, threads, cache_dir)
        items = image_items(checkpoint)
        self._tower = _compiled(lambda w: clip.image_tower(w, spec), items, chosen, spec)

    def __call__(self, pixel_values: Float) -> Float:
        """(B, 3, side, side) float32 -> image features (B, embed) float32, not normalised."""
        side = self.spec.image.side
        pixels = np.ascontiguousarray(pixel_values, dtype=np.float32)
        if pixels.ndim != 4 or pixels.shape[1:] != (3, side, side):
            raise OptionError(
                f"pixel values have shape {pixels.shape}; (batch, 3, {side}, {side}) is needed"
            )
        return self._tower.run({"pixel_values": pixels})


class TextTower:
    """As ImageTower."""

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        *,
        threads: int | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self.spec = spec = checkpoint.spec.text
        table = checkpoint.tensors[_TABLE]
        if not isinstance(table, LazyTensor):
            table = InMemory("F32", table.shape, _read(table))
        self._table = table
        chosen = _Chosen.of(checkpoint, precision, threads, cache_dir)
        items = text_items(checkpoint)
        self._tower = _compiled(lambda w: clip.text_tower(w, spec), items, chosen, spec)

    def __call__(self, ids: npt.NDArray[np.int64]) -> Float:
        """(B, context) int64, zeros behind the end token -> text features (B, embed) float32."""
        if ids.ndim != 2 or ids.shape[1] != self.spec.context:
            raise OptionError(f"ids have shape {ids.shape}; (batch, {self.spec.context}) is needed")
        ends = ids.argmax(axis=1)  # the end token has the highest id, as CLIP's code relies on
        if self.spec.causal and len(ids):
            ids = ids[:, : int(ends.max()) + 1]
        embeds = quantise.widen(self._table.read()[ids], self._table.dtype)  # (B, T, width)
        return self._tower.run({"inputs_embeds": np.ascontiguousarray(embeds), "ends": ends})
