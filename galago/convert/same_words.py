"""Does a decoder on a device say what the CPU's says? It is fed the ways an answer feeds it.

A prompt, single tokens, and again behind a cache that was cut back: a device has another way of
computing for each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float
from galago.convert.selfcheck import Bounds, judge_by
from galago.engine.agreement import Agreement

__all__ = ["compare_words"]

_STEPS = 8  # single tokens, and as many behind a cache that was cut back


class _Cache(Protocol):
    length: int

    def append(self, inputs_embeds: Float) -> Float: ...
    def append_all(self, inputs_embeds: Float) -> Float: ...
    def truncate(self, length: int) -> None: ...


class _Decoder(Protocol):
    def embed(self, ids: npt.ArrayLike) -> Float: ...
    def new_cache(self) -> _Cache: ...


def compare_words(
    what: str,
    device: str,
    ours: _Decoder,
    theirs: _Decoder,
    features: Float,
    ids: Sequence[int],
    bounds: Bounds,
) -> Agreement:
    """Of next tokens behind a picture's `features` (T, hidden) and the words `ids`."""
    words = ours.embed(ids)
    pairs = list(zip(*(_said(one, features, words) for one in (ours, theirs)), strict=True))
    free = dataclasses.replace(bounds, cosine_mean=0.0, cosine_min=0.0)  # there are no features
    found = judge_by([], pairs, free)
    figures = f"next tokens {found.top1:.1%} of {found.decided} the same, KL {found.kl:.4f}"
    return Agreement(what, device, found.passed, figures)


def _said(decoder: _Decoder, features: Float, words: Float) -> list[Float]:
    """Logits (n, vocab) at the words fed as a prompt, as single tokens, and after a cut."""
    cache = decoder.new_cache()
    steps = min(_STEPS, len(words) - 1)
    start = len(features) + len(words) - steps
    prompt = np.concatenate([features, words])[:start]
    feed: Callable[[Float], Float] = cache.append_all
    behind = feed(prompt)[len(features) :]
    last = words[len(words) - steps :]
    single = [cache.append(one[None])[None] for one in last]
    cache.truncate(start)
    again = feed(last) if steps else behind
    return [behind, *single, again]
