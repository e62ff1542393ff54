"""Small sessions to run, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from galago.checkpoints.vlm import Checkpoint
from galago.convert.selfcheck import BOUNDS, SelfCheck, judge
from galago.engine.precision import PrecisionPlan
from galago.engine.vlm_sessions import LanguageSession, Sessions
from galago.engine.vlm_weights import collect, embedding_item, language_items
from tests.helpers.checkpoints import TINY_TEXT

# Wide enough for int4 groups of 128 and for the plug-in's fast paths.
TEXT = replace(TINY_TEXT, hidden=256, intermediate=512, heads=4, kv_heads=2)


def language_session(source: Checkpoint, language: str = "fp32") -> LanguageSession:
    plan = PrecisionPlan("fp32", language)  # type: ignore[arg-type]
    tensors = collect(language_items(source, plan))
    tensors |= collect(iter([embedding_item(source)]))
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


def compare(
    sessions: Sessions,
    reference: Sessions,
    pictures: Sequence[np.ndarray],
    prompts: Sequence[Sequence[int]],
) -> SelfCheck:
    """Two loaded models on pixel values (1, 3, H, W) and prompts of token ids."""
    features, logits = [], []
    for pixels, ids in zip(pictures, prompts, strict=True):
        pair = (reference.vision.encode(pixels)[0], sessions.vision.encode(pixels)[0])
        features.append(pair)
        sequence = np.concatenate([pair[0], reference.language.embed(ids)])
        outputs = [
            s.language.new_cache().append_all(sequence)[len(pair[0]) :]
            for s in (reference, sessions)
        ]
        logits.append((outputs[0], outputs[1]))
    return judge(features, logits, sessions.precision.language)


def unchecked(monkeypatch: pytest.MonkeyPatch, *, passed: bool = True) -> None:
    """Conversions whose self-check costs nothing, for tests of what becomes of them."""
    figures = SelfCheck(1.0, 1.0, 1.0, 0.0, 64, 64, passed, BOUNDS["fp32"])
    monkeypatch.setattr("galago.convert.write.check_conversion", lambda *_: figures)
