"""The decoding loop: embeddings in, ids out.  It knows no text, no pictures and no HTTP."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galago.vlm.sampling import Sampler

__all__ = ["Cache", "LanguageModel", "generate", "log_probabilities", "log_softmax"]

Float = NDArray[np.float32]


class Cache(Protocol):
    """Keys and values of `length` positions fed so far."""

    @property
    def length(self) -> int: ...

    def append(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden); logits (vocab,) after the last."""

    def append_all(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden); logits (T, vocab) after each."""

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` positions."""

    def rest(self) -> None:
        """The reply is over: no token comes after the last one soon."""


class LanguageModel(Protocol):
    """A decoder and its embedding table."""

    @property
    def hidden(self) -> int: ...

    @property
    def vocab(self) -> int: ...

    def embed(self, ids: ArrayLike) -> Float:
        """Ids (T,) to embeddings (T, hidden)."""

    def new_cache(self) -> Cache:
        """An empty cache; caches are independent of each other."""

    def continuing_pays(self, known: int, new: int) -> bool:
        """Whether feeding `new` positions behind `known` ones is quicker than feeding all."""


def generate(
    language: LanguageModel,
    cache: Cache,
    inputs_embeds: Float,
    sampler: Sampler,
    stop_ids: Collection[int],
    max_tokens: int,
) -> Iterator[int]:
    """Feed the rest of a prompt, (T, hidden) with T >= 1, and yield the ids of the reply.

    Ends before an id of `stop_ids`, or after `max_tokens`.  An id is fed to the cache only when
    the next one is asked for; so at any time the cache holds the prompt and a prefix of the ids.
    """
    if max_tokens <= 0:
        return
    logits = cache.append(inputs_embeds)
    for count in range(1, max_tokens + 1):
        token_id = sampler(logits)
        if token_id in stop_ids:
            return
        yield token_id
        if count < max_tokens:
            logits = cache.append(language.embed([token_id]))


def log_probabilities(
    language: LanguageModel, cache: Cache, first: Float, ids: Sequence[int]
) -> list[float]:
    """Natural log-probability of each of `ids`, one after the other, after what the cache holds.

    `first` are the logits (vocab,) that the cache's last position gave.  All ids but the last are
    fed, so truncate the cache afterwards.
    """
    found = [float(log_softmax(first)[ids[0]])]
    for start in range(0, len(ids) - 1, _RUN):
        fed = ids[start : min(start + _RUN, len(ids) - 1)]
        logits = cache.append_all(language.embed(fed))  # (T, vocab)
        found += [float(log_softmax(row)[ids[start + at + 1]]) for at, row in enumerate(logits)]
    return found


_RUN = 32  # positions whose logits are held at once: 20 MB at a vocabulary of 152,000


def log_softmax(logits: Float) -> NDArray[np.float64]:
    """Logits (vocab,) to natural log-probabilities (vocab,)."""
    wide = logits.astype(np.float64)
    wide -= wide.max()
    return np.asarray(wide - np.log(np.exp(wide).sum()))
