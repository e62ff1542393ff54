"""The one way text is generated: tokenised prompts and encoded pictures in, chunks out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError
from galago.specs import VLMSpec
from galago.text.chat import IM_END, ImageSlot, Message, Piece, chat_pieces
from galago.text.tokens import TextStream, Tokenizer
from galago.vlm.decode import LanguageModel, generate, log_probabilities
from galago.vlm.grammar import Constraint, Grammars, constrained
from galago.vlm.loops import Loop
from galago.vlm.prefix import CachePool, Key
from galago.vlm.reply import Chunk, Clock, EncodedImage, Judge, judged, prompt_keys
from galago.vlm.sampling import ConfidenceSampler, Sampler, SamplingOptions, make_sampler
from galago.vlm.scores import Scores

__all__ = ["Speaker"]

_CHARACTERS = 16  # more of these a position than any text has


class Speaker:
    """A language model with its words and its caches.  Safe to use from several threads."""

    def __init__(
        self,
        language: LanguageModel,
        tokenizer: Tokenizer,
        spec: VLMSpec,
        taught: Judge | None = None,
    ) -> None:
        self.language, self.tokenizer, self.prompt = language, tokenizer, spec.prompt
        self.positions = spec.text.positions
        self._taught = taught
        self.pool = CachePool(language.new_cache, pays=language.continuing_pays)
        self._end_id = tokenizer.token_id(IM_END)
        ends = {*spec.eos_ids, self._end_id, tokenizer.token_id("<|endoftext|>")}
        self._stop_ids = frozenset(one for one in ends if one is not None)
        self._grammars = Grammars(tokenizer, language.vocab, self._end_token())

    def pieces(self, messages: Sequence[Message], *, continued: bool = False) -> list[Piece]:
        """Ids and picture slots of messages in the model's template, ready for the reply.

        A first message of the role "system" takes the place of the model's own.
        """
        return chat_pieces(self.tokenizer, messages, self.prompt, continued=continued)

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

        Raises OptionError, at once, for a prompt that leaves no position for a reply, and a form
        that is too complex; one that leaves few makes the reply end there, as at max_tokens.
        """
        keys = prompt_keys(pieces, images)
        self.check_length(len(keys))
        most = min(options.max_tokens, self.positions - len(keys))
        options = replace(options, max_tokens=most)
        constraint = None if options.form is None else self._grammars.begin(options.form)
        clock = Clock(time.perf_counter() if started is None else started)
        return self._reply(pieces, images, keys, options, constraint, clock, vision)

    def check_length(self, length: int, what: str = "positions") -> None:
        """OptionError unless so many positions leave one free for the reply."""
        if length >= self.positions:
            raise OptionError(
                f"the question and what belongs to it are too long: {length} {what}, and the model "
                f"has {self.positions} positions, pictures and the answer included; "
                "ask for less at once, or look at a lower resolution"
            )

    def check_text(self, text: str) -> None:
        """OptionError for a text that is too long at sight: tokenising it would take its time."""
        if len(text) > _CHARACTERS * self.positions:
            self.check_length(len(text), "characters")

    def _reply(
        self,
        pieces: Sequence[Piece],
        images: Sequence[EncodedImage],
        keys: list[Key],
        options: SamplingOptions,
        constraint: Constraint | None,
        clock: Clock,
        vision: float,
    ) -> Iterator[Chunk]:
        words = _Words(self.tokenizer, options)
        finish = "length" if options.max_tokens == 0 else "end"
        sure = ConfidenceSampler(make_sampler(options))
        sampler: Sampler = sure if constraint is None else constrained(sure, constraint)
        scores = None if options.logprobs is None else Scores(self.tokenizer, options.logprobs)
        if scores is not None:
            sampler = scores.watching(sampler)
        with self.pool.borrow(keys) as lease:
            cached = lease.cache.length
            embeds = self.embed(pieces, images, cached)
            ids = generate(
                self.language, lease.cache, embeds, sampler, self._stop_ids, options.max_tokens
            )
            for count, token_id in enumerate(ids, 1):
                lease.keys.append(token_id)
                clock.token()
                text = words.push(token_id)
                yield Chunk(text, token_id, likely=scores.of(text) if scores else ())
                if constraint is not None and constraint.done and not words.ended:
                    break  # whole: what would end it needn't be computed
                if words.ended or count == options.max_tokens:
                    finish = words.ended or "length"
                    break
            else:
                clock.end()
        rest = words.finish()
        image_tokens = sum(isinstance(key, tuple) for key in keys)
        side = max((image.resolution for image in images), default=0)
        stats = clock.stats(vision, len(keys), image_tokens, cached, sure.confidence, side)
        stats = judged(stats, self._taught, images, sure.least)
        finish = words.ended or finish
        likely = scores.of(rest) if scores else ()
        if scores and finish in ("end", "length"):
            likely += scores.rest()
        yield Chunk(rest, None, stats, finish, likely)

    def score(
        self, pieces: Sequence[Piece], images: Sequence[EncodedImage], answers: Sequence[str]
    ) -> list[float]:
        """Natural log-probability of each answer, and of the token that ends a reply behind it."""
        keys = prompt_keys(pieces, images)
        told = [[*self.tokenizer.encode(answer), self._end_token()] for answer in answers]
        self.check_length(len(keys) + max(map(len, told), default=1) - 1)
        with self.pool.borrow(keys) as lease:
            cache = lease.cache
            first = cache.append(self.embed(pieces, images, cache.length))
            scores = []
            for ids in told:
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
        return min(self._stop_ids, default=0) if self._end_id is None else self._end_id


class _Words:
    """Ids in, text out; `ended` tells why no more is wanted: "stop" or "repetition".

    Text is held back while the reply may be going round in circles: shown when it comes out of
    them, dropped when it doesn't.
    """

    def __init__(self, tokenizer: Tokenizer, options: SamplingOptions) -> None:
        self._text = TextStream(tokenizer, options.stop)
        self._loop = None if options.keep_repetition else Loop()
        self._held = ""
        self.ended: str | None = None

    def push(self, token_id: int) -> str:
        """The text that became certain with this id."""
        self._held += self._text.push(token_id)
        self.ended = "stop" if self._text.stopped else None
        if self._loop is not None:
            self._loop.push(token_id)
            if self._loop.suspected:
                if self._loop.endless and not self.ended:
                    self.ended = "repetition"
                return ""
        shown, self._held = self._held, ""
        return shown

    def finish(self) -> str:
        """What was held back and is part of the reply."""
        if self.ended == "repetition":
            return ""
        rest = self._held + self._text.finish()
        self.ended = "stop" if self._text.stopped else None
        return rest
