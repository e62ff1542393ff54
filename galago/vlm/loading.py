"""A FastVLM's parts from a name: fetched, converted, opened; alone in its room it knows engines."""

from __future__ import annotations

from dataclasses import dataclass

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

__all__ = ["Parts", "load_parts"]


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
        load_taught(prepared.beside, sessions.identity),
    )
