"""Checkpoints to running sessions: choose a precision, convert once, load.

With galago/graph and galago/sessions.py this is the only part of galago that touches openvino.
A converted folder is self-contained:

  galago.json          format, precision, spec, source identity, self-check figures
  model.safetensors    folded vision weights, quantised decoder weights, the embedding table
  tokenizer.json …     copied from the source
"""

from __future__ import annotations

from pathlib import Path

from galago import converted, weights
from galago.calibrate import exact_products, settle
from galago.checkpoint import Checkpoint, open_checkpoint
from galago.convert import FORMAT, convert
from galago.errors import CheckpointError
from galago.graph_cache import GraphCache
from galago.precision import PRECISIONS, PrecisionPlan
from galago.precision import resolve_precision as _resolve
from galago.quantise import FULL_TOP
from galago.selfcheck import SelfCheck, self_check
from galago.sessions import KVCache, LanguageSession, Sessions, VisionSession, native_bf16
from galago.specs import VLMSpec

__all__ = [
    "FORMAT",
    "PRECISIONS",
    "KVCache",
    "LanguageSession",
    "PrecisionPlan",
    "SelfCheck",
    "Sessions",
    "VisionSession",
    "convert",
    "load_sessions",
    "native_bf16",
    "resolve_precision",
    "self_check",
]


def resolve_precision(wanted: str, spec: VLMSpec) -> PrecisionPlan:
    """auto, fp32, bf16, int8 or int4 -> the plan for this model on this processor."""
    return _resolve(wanted, spec, native_bf16=native_bf16())


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
        if converted.is_converted(source):
            return _load_converted(source, precision, threads, cache_dir)
        source = open_checkpoint(source)
    spec = source.spec
    plan = precision if isinstance(precision, PrecisionPlan) else resolve_precision(precision, spec)
    narrow = None
    if plan.vision == "int8":
        settled = settle(source, plan)
        plan, narrow = settled.plan, settled.narrow
    seen = weights.collect(weights.vision_items(source, plan.vision, narrow))
    vision = VisionSession(seen, spec, plan, threads=threads)
    del seen
    said = weights.collect(weights.language_items(source, plan))
    said |= weights.collect(iter([weights.embedding_item(source)]))
    language = LanguageSession(said, spec, plan, threads=threads)
    return Sessions(vision, language, spec, plan)


def _load_converted(
    folder: Path,
    precision: str | PrecisionPlan,
    threads: int | None,
    cache_dir: Path | str | None,
) -> Sessions:
    opened = converted.open_converted(folder, precision)
    cache = None if cache_dir is None else GraphCache(Path(cache_dir), opened.file)
    spec, plan = opened.spec, opened.plan
    top = opened.manifest.get("vision", {}).get("top")
    if plan.vision == "int8" and top == FULL_TOP and not exact_products():
        raise CheckpointError(
            f"{folder} was converted on a processor whose 8-bit products are exact, which this "
            "one's aren't; convert the model again"
        )
    vision = VisionSession(opened.tensors, spec, plan, threads=threads, cache=cache)
    language = LanguageSession(opened.tensors, spec, plan, threads=threads, cache=cache)
    return Sessions(vision, language, spec, plan)
