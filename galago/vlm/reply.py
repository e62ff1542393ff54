"""What goes into a question and comes out of it: encoded pictures, chunks, statistics."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError, UnfinishedError
from galago.media.images import Square
from galago.text.chat import ImageSlot, Piece
from galago.vlm.prefix import Key

__all__ = [
    "Chunk",
    "Clock",
    "EncodedImage",
    "Judge",
    "Likely",
    "Prepared",
    "Running",
    "Stats",
    "VisionModel",
    "check_prompt",
    "judged",
    "prompt_keys",
    "whole_text",
    "why_cut",
]


class VisionModel(Protocol):
    """Trunk and projector."""

    def encode(self, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, 3, H, W) to image features (B, T, hidden)."""


class Running(Protocol):
    """Where a part of a model runs, in a line; `refused`: not where it was to."""

    @property
    def line(self) -> str: ...

    @property
    def refused(self) -> bool: ...


class Judge(Protocol):
    """Tells what a model was taught from what it wasn't; galago.checkpoints.doubt has one."""

    def known(self, features: NDArray[np.float32], answer: Sequence[float] = ()) -> float:
        """How probably a model knows a picture, of which these are the features (tokens, hidden),
        and says it rightly: 0 to 1. `answer` is Stats.signals."""

    def doubts(self, known: float) -> bool:
        """Whether that is too little."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture opened for the vision model, by `FastVLM.prepare`; seconds: what that took."""

    square: Square
    seconds: float


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A picture as the language model sees it.

    features: float32 (tokens, hidden), read-only.
    size: (width, height) of the picture; resolution: the side it was looked at with.
    seconds: what looking took; model: the name of the model that made them, identity: which one
    that was (FastVLM.identity); digest: names the features. `page` of `pages` was looked at.

    Raises OptionError for features of another shape or that are no numbers.
    """

    features: NDArray[np.float32]
    size: tuple[int, int]
    resolution: int
    seconds: float
    model: str
    identity: str
    page: int = 1
    pages: int = 1
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            features = np.array(self.features, dtype=np.float32, order="C")
        except (TypeError, ValueError):
            features = np.zeros(0, np.float32)
        if features.ndim != 2 or not features.size or not np.isfinite(features).all():
            raise OptionError(
                "an encoded picture's features must be numbers (tokens, hidden); "
                "FastVLM.encode makes them"
            )
        features.flags.writeable = False
        object.__setattr__(self, "features", features)
        # Caches know pictures by it: it is made of what is there, never taken over.
        digest = hashlib.blake2b(features.tobytes(), digest_size=16).hexdigest()
        object.__setattr__(self, "digest", digest)

    def __reduce__(self) -> tuple[type[EncodedImage], tuple[object, ...]]:
        """Copies and what is unpickled are read-only as well."""
        looked = (self.size, self.resolution, self.seconds)
        made_by = (self.model, self.identity, self.page, self.pages)
        return EncodedImage, (self.features, *looked, *made_by)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncodedImage) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True)
class Stats:
    """Where the time of one reply went, in seconds, and how many tokens there were.

    vision: opening and encoding pictures (0 for an EncodedImage); prefill: the prompt; first_token:
    from the question to the first token, all included; decode: from the first token to the last.
    Of `prompt_tokens`, `image_tokens` are pictures' and `cached_tokens` were known from before.
    confidence: the geometric mean of the probabilities that the model gave its tokens, the one
    that ends the reply too (at temperature 1, whatever the sampling); how sure it is, not how
    right. Of a reply in a form, among what was possible there, and without what was forced.
    resolution: the side in pixels the picture was looked at with, of several the largest.
    least: the probability of the token that it held least probable.
    known: how probably the model was taught what it speaks of and says it rightly, 0 to 1, as was
    measured (docs/doubt.md), and `doubted`: that this is too little; None and False of a model
    whose doubt was never measured, and without a picture.
    """

    vision: float
    prefill: float
    first_token: float
    decode: float
    prompt_tokens: int
    image_tokens: int
    cached_tokens: int
    tokens: int
    confidence: float
    resolution: int
    least: float = 1.0
    known: float | None = None
    doubted: bool = False

    @property
    def signals(self) -> tuple[float, float]:
        """What tells a right answer from a guess: the natural logarithms of `confidence` and
        `least`."""
        return math.log(max(self.confidence, 1e-12)), math.log(max(self.least, 1e-12))

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed, the first token (which is prefill) left out; 0 for a single token."""
        return (self.tokens - 1) / self.decode if self.tokens > 1 and self.decode > 0 else 0.0


@dataclass(frozen=True)
class Likely:
    """A token's bytes (perhaps part of a character), and how likely it was (natural logarithm).

    As the model had it, at temperature 1, whatever the sampling and the form. top: the likeliest
    tokens there, likeliest first.
    """

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class Chunk:
    """A piece of a reply: one token and the text that became certain with it, often empty.

    The last chunk has no token, perhaps some text that had been held back, the statistics, and
    why the reply ended: "end" (the model was done), "stop" (a stop string), "length" (no more
    tokens were allowed, or no more positions left: what would follow is missing) or "repetition"
    (it went round in circles and was cut). `likely` are the tokens of `text`, when they are asked
    for (SamplingOptions.logprobs).
    """

    text: str
    token_id: int | None = None
    stats: Stats | None = None
    finish: str | None = None
    likely: tuple[Likely, ...] = ()


class Clock:
    """When tokens came, in seconds since the question."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._prefill_from = time.perf_counter()
        self._first: float | None = None
        self._last = self._prefill_from
        self._tokens = 0

    def token(self) -> None:
        self._tokens += 1
        self._last = time.perf_counter()
        if self._first is None:
            self._first = self._last

    def end(self) -> None:
        """The end token came, or nothing at all: as much work as a token."""
        if self._first is None:
            self._first = self._last = time.perf_counter()

    def stats(
        self, vision: float, prompt: int, image: int, cached: int, confidence: float, side: int
    ) -> Stats:
        first = self._prefill_from if self._first is None else self._first
        return Stats(
            vision=vision,
            prefill=first - self._prefill_from,
            first_token=first - self._started,
            decode=self._last - first if self._tokens else 0.0,
            prompt_tokens=prompt,
            image_tokens=image,
            cached_tokens=cached,
            tokens=self._tokens,
            confidence=confidence,
            resolution=side,
        )


def judged(
    stats: Stats, judge: Judge | None, images: Sequence[EncodedImage], least: float
) -> Stats:
    """With `least`, `known` and `doubted`; of several pictures the one that is known least."""
    stats = replace(stats, least=least)
    if judge is None or not images:
        return stats
    known = min(judge.known(image.features, stats.signals) for image in images)
    return replace(stats, known=known, doubted=judge.doubts(known))


def prompt_keys(pieces: Sequence[Piece], images: Sequence[EncodedImage]) -> list[Key]:
    """What stands at each position of a prompt: an id, or a picture's digest and token number."""
    keys: list[Key] = []
    for piece in pieces:
        if isinstance(piece, ImageSlot):
            image = images[piece.index]
            keys += [(image.digest, at) for at in range(len(image.features))]
        else:
            keys += piece
    return keys


def why_cut(finish: str | None, tokens: int) -> str | None:
    """What to tell about a reply of so many tokens that isn't whole; None when it is."""
    if finish == "length":
        return f"the answer was cut at {tokens} token{'' if tokens == 1 else 's'}"
    if finish == "repetition":
        return "the answer went round in circles and was cut"
    return None


def whole_text(chunks: Iterable[Chunk]) -> str:
    """The text of a reply in a form; UnfinishedError for one that was cut: it has not its form."""
    parts: list[str] = []
    finish, tokens = None, 0
    for chunk in chunks:
        parts.append(chunk.text)
        finish, tokens = chunk.finish, chunk.stats.tokens if chunk.stats else 0
    text = "".join(parts)
    if finish == "end":
        return text
    why = why_cut(finish, tokens) or "the answer ended at a stop string"
    raise UnfinishedError(f"{why}, so it is no whole JSON", text=text)


def check_prompt(prompt: str) -> None:
    if not isinstance(prompt, str):
        raise OptionError(f"the question must be text, not {type(prompt).__name__}")
    if not prompt.strip():
        raise OptionError("the question is empty; ask something, such as PRESETS['describe']")
