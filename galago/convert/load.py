"""Converted folders, and small checkpoints as they are, to running sessions.

A converted folder is self-contained:

  galago.json          format, precision, spec, source identity, self-check figures
  model.safetensors    folded vision weights, quantised decoder weights, the embedding table
  tokenizer.json …     copied from the source
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from galago.checkpoints.doubt import Taught, read_taught
from galago.checkpoints.tensors import FileState
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.calibrate import choose_vision
from galago.convert.folder import is_converted, open_converted
from galago.engine.device import Device
from galago.engine.graph_cache import GraphCache
from galago.engine.precision import PrecisionPlan
from galago.engine.processor import exact_products, precision_here
from galago.engine.quantise import FULL_TOP
from galago.engine.vlm_sessions import LanguageSession, Sessions, VisionSession
from galago.engine.vlm_weights import (
    collect,
    embedding_item,
    identity_of,
    language_items,
    vision_items,
)
from galago.errors import CheckpointError
from galago.specs import VLMSpec

__all__ = ["Opened", "load_sessions", "load_taught", "open_model"]


@dataclass(frozen=True)
class Opened:
    """A model whose parts can be made, more than once and on several devices; nothing runs yet.

    `vision(device, side)` and `language(device)` compile (None: for the CPU). `identity` as in
    Sessions, `made_from` what tells its weights from all others.
    """

    spec: VLMSpec
    precision: PrecisionPlan
    identity: str
    made_from: object
    vision: Callable[..., VisionSession]
    language: Callable[..., LanguageSession]


def load_sessions(
    source: Path | str | Checkpoint,
    precision: str | PrecisionPlan = "auto",
    *,
    threads: int | None = None,
    cache_dir: Path | str | None = None,
) -> Sessions:
    """Sessions from a converted folder, or straight from a checkpoint, writing nothing.

    A converted folder runs in the precision it was converted to; `precision` must then be "auto"
    or the same. Loading a checkpoint directly folds and quantises in memory, which is meant for
    small models. `cache_dir` keeps a converted folder's compiled graphs, without their weights, for
    the next time; None keeps nothing.
    """
    opened = open_model(source, precision, threads=threads, cache_dir=cache_dir)
    vision, language = opened.vision(), opened.language()
    return Sessions(vision, language, opened.spec, opened.precision, opened.identity)


def open_model(
    source: Path | str | Checkpoint,
    precision: str | PrecisionPlan = "auto",
    *,
    threads: int | None = None,
    cache_dir: Path | str | None = None,
) -> Opened:
    """As load_sessions, with nothing compiled yet."""
    if not isinstance(source, Checkpoint):
        source = Path(source)
        if is_converted(source):
            return _open_converted(source, precision, threads, cache_dir)
        source = open_checkpoint(source)
    checkpoint, spec = source, source.spec
    plan = precision_here(precision, spec)
    int8_layers = None
    if plan.vision == "int8":
        found = choose_vision(source, plan)
        plan, int8_layers = found.plan, found.int8_layers

    def vision(device: Device | None = None, side: int | None = None) -> VisionSession:
        seen = collect(vision_items(checkpoint, plan.vision, int8_layers))
        return VisionSession(seen, spec, plan, threads=threads, device=device, side=side)

    def language(device: Device | None = None) -> LanguageSession:
        said = collect(language_items(checkpoint, plan))
        said |= collect(iter([embedding_item(checkpoint)]))
        return LanguageSession(said, spec, plan, threads=threads, device=device)

    identity = identity_of(source.tensors, spec)
    files = sorted(path for path in source.folder.glob("*.safetensors"))
    made_from = (str(spec), plan, [FileState.of(path) for path in files])
    return Opened(spec, plan, identity, made_from, vision, language)


def _open_converted(
    folder: Path,
    precision: str | PrecisionPlan,
    threads: int | None,
    cache_dir: Path | str | None,
) -> Opened:
    opened = open_converted(folder, precision)
    cache = None if cache_dir is None else GraphCache(Path(cache_dir), opened.file)
    spec, plan = opened.spec, opened.plan
    if plan.vision == "int8" and opened.top == FULL_TOP and not exact_products():
        raise CheckpointError(
            f"{folder} was converted on a processor whose 8-bit products are exact, which this "
            "one's aren't; convert the model again"
        )

    def vision(device: Device | None = None, side: int | None = None) -> VisionSession:
        return VisionSession(
            opened.tensors, spec, plan, threads=threads, cache=cache, device=device, side=side
        )

    def language(device: Device | None = None) -> LanguageSession:
        return LanguageSession(
            opened.tensors, spec, plan, threads=threads, cache=cache, device=device
        )

    identity = identity_of(opened.tensors, spec)
    return Opened(spec, plan, identity, (str(spec), plan, opened.file), vision, language)


def load_taught(folder: Path | None, identity: str) -> Taught | None:
    """What was measured of the model's doubt, beside its weights; None where nothing was.

    Raises CheckpointError as galago.checkpoints.doubt.read_taught does.
    """
    return None if folder is None else read_taught(folder, lambda: identity)
