"""MobileCLIP's towers compiled: pixels or ids in, vectors out.

Weights that change nothing on their way stay in their file, which the engine reads when it packs
its own copy; the others are folded, and in int8 quantised, while they are read. Sessions are made
by galago/clip/mobileclip.py and know nothing of files of pictures or of words.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float, InMemory, LazyTensor, Stored, widen
from galago.engine.clip_weights import TABLE, image_items, in_precision, read, text_items
from galago.engine.device import Device, cpu
from galago.engine.graph import clip
from galago.engine.graph.ops import Weights
from galago.engine.graph_cache import GraphCache
from galago.engine.network import Network
from galago.engine.precision import ClipPrecision
from galago.engine.processor import native_bf16
from galago.engine.runtime import ov
from galago.errors import ModelError, OptionError
from galago.specs import ClipSpec, ClipTextSpec


class _Tower:
    """A network whose one output must be numbers, for one thread at a time: others wait."""

    def __init__(self, network: Network, device: Device) -> None:
        self._network = network
        self._request = network.new_request()
        self._turn = threading.Lock()
        self._plain = device.plain

    def run(self, inputs: dict[str, Any]) -> Float:
        with self._turn:
            out = self._network.run(self._request, inputs)
        if not self._plain:
            return out  # the CPU has a try at what isn't a number there (engine/standby.py)
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
    device: Device

    @classmethod
    def of(
        cls,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        threads: int | None,
        cache_dir: Path | None,
        device: Device | None,
    ) -> _Chosen:
        file = checkpoint.file
        cache = None if cache_dir is None or file is None else GraphCache(cache_dir, file)
        return cls(precision, threads, cache, device or cpu())


def _compiled(
    build: Callable[[Weights], ov.Model],
    items: Iterator[tuple[str, Float | Stored]],
    chosen: _Chosen,
    spec: ClipSpec | ClipTextSpec,
) -> _Tower:
    """`items` are only made when the compiled graph isn't in the cache.

    A device that takes inputs of one shape gets one picture at a time.
    """
    native = native_bf16()
    device = chosen.device

    def built() -> tuple[ov.Model, Weights]:
        weights = in_precision(items, chosen.precision, native=native)
        model = build(weights)
        if device.fixed and isinstance(spec, ClipSpec):
            model.reshape({"pixel_values": [1, 3, spec.image.side, spec.image.side]})
        return model, weights

    exact = chosen.precision == "fp32"
    settings = device.settings(chosen.precision, chosen.threads, exact=exact)
    made_from = (chosen.precision, spec)
    return _Tower(Network(built, settings, chosen.cache, made_from, device), device)


class ImageTower:
    """For one thread at a time: others wait.

    `cache_dir` keeps compiled graphs there for the next time; None keeps nothing. It runs on the
    CPU unless a `device` is given.
    """

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        *,
        threads: int | None = None,
        cache_dir: Path | None = None,
        device: Device | None = None,
    ) -> None:
        self.spec = spec = checkpoint.spec
        chosen = _Chosen.of(checkpoint, precision, threads, cache_dir, device)
        self._alone = chosen.device.fixed  # pictures go one by one
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
        if not self._alone:
            return self._tower.run({"pixel_values": pixels})
        return np.concatenate([self._tower.run({"pixel_values": one[None]}) for one in pixels])


class TextTower:
    """As ImageTower."""

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        precision: ClipPrecision,
        *,
        threads: int | None = None,
        cache_dir: Path | None = None,
        device: Device | None = None,
    ) -> None:
        self.spec = spec = checkpoint.spec.text
        table = checkpoint.tensors[TABLE]
        if not isinstance(table, LazyTensor):
            table = InMemory("F32", table.shape, read(table))
        self._table = table
        chosen = _Chosen.of(checkpoint, precision, threads, cache_dir, device)
        items = text_items(checkpoint)
        self._tower = _compiled(lambda w: clip.text_tower(w, spec), items, chosen, spec)

    def __call__(self, ids: npt.NDArray[np.int64]) -> Float:
        """(B, context) int64, zeros behind the end token -> text features (B, embed) float32."""
        if ids.ndim != 2 or ids.shape[1] != self.spec.context:
            raise OptionError(f"ids have shape {ids.shape}; (batch, {self.spec.context}) is needed")
        ends = ids.argmax(axis=1)  # the end token has the highest id, as CLIP's code relies on
        if self.spec.causal and len(ids):
            ids = ids[:, : int(ends.max()) + 1]
        embeds = widen(self._table.read()[ids], self._table.dtype)  # (B, T, width)
        return self._tower.run({"inputs_embeds": np.ascontiguousarray(embeds), "ends": ends})
