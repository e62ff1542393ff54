"""Small sessions to run, and what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from checkpoints import TINY_TEXT

from galago import weights
from galago.checkpoint import Checkpoint
from galago.precision import PrecisionPlan
from galago.sessions import LanguageSession, Sessions

# Wide enough for int4 groups of 128 and for the plug-in's fast paths.
TEXT = replace(TINY_TEXT, hidden=256, intermediate=512, heads=4, kv_heads=2)


def language_session(source: Checkpoint, language: str = "fp32") -> LanguageSession:
    plan = PrecisionPlan("fp32", language)  # type: ignore[arg-type]
    tensors = weights.collect(weights.language_items(source, plan))
    tensors |= weights.collect(iter([weights.embedding_item(source)]))
    return LanguageSession(tensors, source.spec, plan)


def embeds(count: int, seed: int = 0) -> np.ndarray:
    """(count, TEXT.hidden) float32, of the size that embeddings have."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, TEXT.hidden)).astype(np.float32) * np.float32(0.2)


def answer(sessions: Sessions) -> tuple[np.ndarray, np.ndarray]:
    """A picture's features, and the logits after it."""
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    features = sessions.vision.encode(pixels)[0]
    embeds = np.concatenate([sessions.language.embed([1, 7, 9]), features])
    return features, sessions.language.new_cache().append(embeds)
