"""Converted folders, and small checkpoints as they are, to running sessions.

A converted folder is self-contained:

  galago.json          format, precision, spec, source identity, self-check figures
  model.safetensors    folded vision weights, quantised decoder weights, the embedding table
  tokenizer.json …     copied from the source
"""

from __future__ import annotations

from pathlib import Path

from galago.checkpoints.doubt import Taught, read_taught
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.calibrate import choose_vision
from galago.convert.folder import is_converted, open_converted
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

__all__ = ["load_sessions", "load_taught"]


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
    if not isinstance(source, Checkpoint):
        source = Path(source)
        if is_converted(source):
            return _load_converted(source, precision, threads, cache_dir)
        source = open_checkpoint(source)
    spec = source.spec
    plan = precision_here(precision, spec)
    int8_layers = None
    if plan.vision == "int8":
        found = choose_vision(source, plan)
        plan, int8_layers = found.plan, found.int8_layers
    seen = collect(vision_items(source, plan.vision, int8_layers))
    vision = VisionSession(seen, spec, plan, threads=threads)
    del seen
    said = collect(language_items(source, plan))
    said |= collect(iter([embedding_item(source)]))
    language = LanguageSession(said, spec, plan, threads=threads)
    return Sessions(vision, language, spec, plan, identity_of(source.tensors, spec))


def _load_converted(
    folder: Path,
    precision: str | PrecisionPlan,
    threads: int | None,
    cache_dir: Path | str | None,
) -> Sessions:
    opened = open_converted(folder, precision)
    cache = None if cache_dir is None else GraphCache(Path(cache_dir), opened.file)
    spec, plan = opened.spec, opened.plan
    if plan.vision == "int8" and opened.top == FULL_TOP and not exact_products():
        raise CheckpointError(
            f"{folder} was converted on a processor whose 8-bit products are exact, which this "
            "one's aren't; convert the model again"
        )
    vision = VisionSession(opened.tensors, spec, plan, threads=threads, cache=cache)
    language = LanguageSession(opened.tensors, spec, plan, threads=threads, cache=cache)
    return Sessions(vision, language, spec, plan, identity_of(opened.tensors, spec))


def load_taught(folder: Path | None, identity: str) -> Taught | None:
    """What was measured of the model's doubt, beside its weights; None where nothing was.

    Raises CheckpointError as galago.checkpoints.doubt.read_taught does.
    """
    return None if folder is None else read_taught(folder, lambda: identity)
