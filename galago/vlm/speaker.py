"""The one way text is generated: tokenised prompts and encoded pictures in, chunks out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from galago.specs import VLMSpec
from galago.text.chat import IM_END, ImageSlot, Message, Piece, chat_pieces
from galago.text.tokens import TextStream, Tokenizer
from galago.vlm.decode import LanguageModel, generate, log_probabilities
from galago.vlm.prefix import CachePool
from galago.vlm.reply import Chunk, Clock, EncodedImage, prompt_keys
from galago.vlm.sampling import ConfidenceSampler, SamplingOptions, make_sampler

__all__ = ["Speaker"]


class Speaker:
    """A language model with its words and its caches.  Safe to use from several threads."""

    def __init__(self, language: LanguageModel, tokenizer: Tokenizer, spec: VLMSpec) -> None:
        self.language, self.tokenizer, self.prompt = language, tokenizer, spec.prompt
        self.pool = CachePool(language.new_cache, pays=language.continuing_pays)
        self._end_id = tokenizer.token_id(IM_END)
        ends = {*spec.eos_ids, self._end_id, tokenizer.token_id("<|endoftext|>")}
        self._stop_ids = frozenset(one for one in ends if one is not None)

    def pieces(self, messages: Sequence[Message], *, continued: bool = False) -> list[Piece]:
        """Ids and picture slots of messages in the model's template, ready for the reply.

        A first message of the role "system" takes the place of the model's own.
        """
        prompt = self.prompt
        if messages and messages[0].role == "system":
            prompt = replace(prompt, system="")
        return chat_pieces(self.tokenizer, messages, prompt, continued=continued)

    def reply(
        self,
        pieces: Sequence[Piece],
        images: Sequence[EncodedImage],
        options: SamplingOptions,
        started: float | None = None,
        vision: float = 0.0,
    ) -> Iterator[Chunk]:
        """Chunks of the reply to a tokenised prompt.

        `started`: when the question was asked (time.perf_counter), now unless told; `vision`: the
        seconds since then that went into looking.  Closing the iterator ends the work.
        """
        started = time.perf_counter() if started is None else started
        keys = prompt_keys(pieces, images)
        text = TextStream(self.tokenizer, options.stop)
        clock = Clock(started)
        finish = "length" if options.max_tokens == 0 else "end"
        with self.pool.borrow(keys) as lease:
            cached = lease.cache.length
            embeds = self.embed(pieces, images, cached)
            sampler = ConfidenceSampler(make_sampler(options))
            ids = generate(
                self.language, lease.cache, embeds, sampler, self._stop_ids, options.max_tokens
            )
            for count, token_id in enumerate(ids, 1):
                lease.keys.append(token_id)
                clock.token()
                yield Chunk(text.push(token_id), token_id)
                if text.stopped or count == options.max_tokens:
                    finish = "stop" if text.stopped else "length"
                    break
            else:
                clock.end()
        rest = text.finish()
        finish = "stop" if text.stopped else finish
        image_tokens = sum(isinstance(key, tuple) for key in keys)
        side = max((image.resolution for image in images), default=0)
        stats = clock.stats(vision, len(keys), image_tokens, cached, sampler.confidence, side)
        yield Chunk(rest, None, stats, finish)

    def score(
        self, pieces: Sequence[Piece], images: Sequence[EncodedImage], answers: Sequence[str]
    ) -> list[float]:
        """Natural log-probability of each answer, and of the token that ends a reply behind it."""
        keys = prompt_keys(pieces, images)
        with self.pool.borrow(keys) as lease:
            cache = lease.cache
            first = cache.append(self.embed(pieces, images, cache.length))
            scores = []
            for answer in answers:
                ids = [*self.tokenizer.encode(answer), self._end_token()]
                scores.append(sum(log_probabilities(self.language, cache, first, ids)))
                cache.truncate(len(keys))
        return scores

    def embed(
        self, pieces: Sequence[Piece], images: Sequence[EncodedImage], start: int = 0
    ) -> NDArray[np.float32]:
        """Embeddings (T, hidden) of a prompt from position `start` on, features in their slots."""
        parts: list[NDArray[np.float32]] = []
        for piece in pieces:
            length = len(images[piece.index].features if isinstance(piece, ImageSlot) else piece)
            if start < length:
                parts.append(
                    images[piece.index].features[start:]
                    if isinstance(piece, ImageSlot)
                    else self.language.embed(piece[start:])
                )
            start = max(start - length, 0)
        return np.concatenate(parts)

    def _end_token(self) -> int:
        return min(self._stop_ids) if self._end_id is None else self._end_id
