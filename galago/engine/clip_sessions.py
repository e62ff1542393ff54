"""MobileCLIP's towers compiled: pixels or ids in, vectors out.

Weights that change nothing on their way stay in their file, which the engine reads when it packs
its own copy; the others are folded, and in int8 quantised, while they are read. Sessions are made
by galago/clip/mobileclip.py and know nothing of files of pictures or of words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float, InMemory, LazyTensor, Stored, widen
from galago.engine.clip_weights import TABLE, image_items, in_precision, read, text_items
from galago.engine.graph import clip
from galago.engine.graph.ops import Weights
from galago.engine.graph_cache import GraphCache
from galago.engine.network import Network
from galago.engine.precision import ClipPrecision
from galago.engine.processor import native_bf16, options, product_format
from galago.engine.runtime import ov
from galago.errors import ModelError, OptionError
from galago.specs import ClipSpec, ClipTextSpec


class _Tower:
    """A network whose one output must be numbers."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._request = network.new_request()

    def run(self, inputs: dict[str, Any]) -> Float:
        out = self._network.run(self._request, inputs)
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
    native = native_bf16()

    def built() -> tuple[ov.Model, Weights]:
        weights = in_precision(items, chosen.precision, native=native)
        return build(weights), weights

    settings = options(product_format(chosen.precision), chosen.threads)
    return _Tower(Network(built, settings, chosen.cache, (chosen.precision, spec)))


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
        table = checkpoint.tensors[TABLE]
        if not isinstance(table, LazyTensor):
            table = InMemory("F32", table.shape, read(table))
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
        embeds = widen(self._table.read()[ids], self._table.dtype)  # (B, T, width)
        return self._tower.run({"inputs_embeds": np.ascontiguousarray(embeds), "ends": ends})
