"""A FastVLM's parts from a name: fetched, converted, opened; alone in its room it knows engines."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from galago.convert.choice import choose_fastvlm
from galago.convert.load import load_sessions, load_taught
from galago.convert.store import prepare
from galago.engine.batching import BatchedDecoder
from galago.engine.precision import check_threads
from galago.hub.resolve import Name
from galago.places import graphs_dir
from galago.progress import Progress
from galago.specs import VLMSpec
from galago.text.tokens import Tokenizer, load_tokenizer
from galago.vlm.decode import LanguageModel
from galago.vlm.reply import Judge, VisionModel

__all__ = ["Parts", "load_parts", "weights_of"]


@dataclass(frozen=True)
class Parts:
    """What a FastVLM is made of, loaded."""

    vision: VisionModel
    language: LanguageModel
    tokenizer: Tokenizer
    spec: VLMSpec
    name: str
    precision: str
    identity: str
    weights: str
    taught: Judge | None = None


def load_parts(
    name: Name | None, precision: str, offline: bool | None, threads: int | None, progress: Progress
) -> Parts:
    """As FastVLM.load, which says what is raised; replies of several threads decode together."""
    check_threads(threads)
    name = name or choose_fastvlm(precision).name
    prepared = prepare(name, precision=precision, offline=offline, progress=progress)
    sessions = load_sessions(prepared.folder, precision, threads=threads, cache_dir=graphs_dir())
    return Parts(
        sessions.vision,
        BatchedDecoder(sessions.language),
        load_tokenizer(prepared.folder),
        sessions.spec,
        prepared.name,
        sessions.precision.name,
        sessions.identity,
        weights_of(prepared.folder),
        load_taught(prepared.beside, sessions.identity),
    )


def weights_of(folder: Path) -> str:
    """Twelve letters for the files of weights: their place, sizes and times, as weights that were
    trained on keep their sizes."""
    states = [(path.name, path.stat()) for path in sorted(folder.glob("*.safetensors"))]
    files = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(repr((str(folder.resolve()), files)).encode()).hexdigest()[:12]
