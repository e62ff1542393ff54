"""FastVLM: pictures and a question in, words out.

`stream` is the truth; `ask` is a fold over it, and a conversation is `stream` with a memory.
A picture is looked at once: `encode` gives an EncodedImage, a value that every method takes in
place of the picture.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Union

import numpy as np
from numpy.typing import NDArray

from galago.decode import LanguageModel, generate, log_probabilities
from galago.errors import OptionError
from galago.images import Source, load_pixels
from galago.prefix import CachePool, Key
from galago.sampling import SamplingOptions, make_sampler
from galago.specs import VLMSpec
from galago.tokens import (
    IM_END,
    ImageSlot,
    Message,
    Piece,
    TextStream,
    Tokenizer,
    chat_pieces,
    load_tokenizer,
)

__all__ = ["Chunk", "Conversation", "EncodedImage", "FastVLM", "Picture", "Stats", "VisionModel"]

Progress = Callable[[str, float], None]


class VisionModel(Protocol):
    """Trunk and projector."""

    def encode(self, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, 3, H, W) to image features (B, T, hidden)."""


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A picture as the language model sees it.

    features: float32 (tokens, hidden), read-only.
    size: (width, height) of the picture; resolution: the side it was looked at with.
    seconds: what looking took; digest: names the features; model: the model that made them.
    """

    features: NDArray[np.float32]
    size: tuple[int, int]
    resolution: int
    seconds: float
    digest: str
    model: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncodedImage) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


Picture = Union[Source, EncodedImage]
Pictures = Union[Picture, "Sequence[Picture]"]


@dataclass(frozen=True)
class Stats:
    """Where the time of one reply went, in seconds, and how many tokens there were.

    vision: opening and encoding pictures (0 for an EncodedImage); prefill: the prompt; first_token:
    from the question to the first token, all included; decode: from the first token to the last.
    Of `prompt_tokens`, `image_tokens` are pictures' and `cached_tokens` were known from before.
    """

    vision: float
    prefill: float
    first_token: float
    decode: float
    prompt_tokens: int
    image_tokens: int
    cached_tokens: int
    tokens: int

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed, the first token (which is prefill) left out; 0 for a single token."""
        return (self.tokens - 1) / self.decode if self.tokens > 1 and self.decode > 0 else 0.0


@dataclass(frozen=True)
class Chunk:
    """A piece of a reply: one token and the text that became certain with it, often empty.

    The last chunk has no token, perhaps some text that had been held back, the statistics, and
    why the reply ended: "end" (the model was done), "stop" (a stop string) or "length".
    """

    text: str
    token_id: int | None = None
    stats: Stats | None = None
    finish: str | None = None


class FastVLM:
    """A vision-language model, loaded.  Methods may be called from several threads."""

    def __init__(
        self,
        vision: VisionModel,
        language: LanguageModel,
        tokenizer: Tokenizer,
        spec: VLMSpec,
        *,
        name: str | None = None,
        precision: str = "fp32",
        resolution: int | None = None,
    ) -> None:
        """From loaded parts; `FastVLM.load` is the usual way."""
        self.spec = spec
        self.name = name or spec.name
        self.precision = precision
        self.tokenizer = tokenizer
        self.resolution = spec.image.side if resolution is None else self._side(resolution)
        self._vision = vision
        self._vision_lock = threading.Lock()  # one picture at a time: a session isn't shared
        self._language = language
        self._pool = CachePool(language.new_cache)
        self._end_id = tokenizer.token_id(IM_END)
        ends = {*spec.eos_ids, self._end_id, tokenizer.token_id("<|endoftext|>")}
        self._stop_ids = frozenset(one for one in ends if one is not None)

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str],
        *,
        precision: str = "auto",
        resolution: int | None = None,
        offline: bool | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> FastVLM:
        """A model by name ("fastvlm-nano", "apple/FastVLM-0.5B") or from a folder.

        Fetches and converts it first when that hasn't been done.  `precision` is auto, fp32, bf16,
        int8 or int4; `resolution` the side in pixels pictures are looked at with, the published
        one by default; `offline` (or HF_HUB_OFFLINE=1) contacts nobody; `progress` hears stages
        and shares from 0 to 1.

        Raises UnknownModelError, CheckpointError, SelfCheckError, HubError, StorageError,
        OptionError.
        """
        from galago import compile as engine
        from galago import store

        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise OptionError(f"threads {threads!r} is not possible: use 1 or more")
        prepared = store.prepare(
            os.fspath(name), precision=precision, offline=offline, progress=progress
        )
        sessions = engine.load_sessions(prepared.folder, precision, threads=threads)
        return cls(
            sessions.vision,
            sessions.language,
            load_tokenizer(prepared.folder),
            sessions.spec,
            name=prepared.name,
            precision=sessions.precision.name,
            resolution=resolution,
        )

    # -- pictures ----------------------------------------------------------------------------------

    def encode(self, picture: Picture, resolution: int | None = None) -> EncodedImage:
        """Look at a picture: a path, bytes, file object, PIL image or uint8 array (H, W, 3).

        Raises ImageError for what can't be opened, OptionError for a side the model can't take.
        """
        if isinstance(picture, EncodedImage):
            return self._checked(picture, resolution)
        side = self.resolution if resolution is None else self._side(resolution)
        started = time.perf_counter()
        pixels, size = load_pixels(picture, self.spec.image.with_side(side))
        with self._vision_lock:
            features = self._vision.encode(pixels[None])[0]  # (T, hidden)
        features = np.array(features, dtype=np.float32, order="C")
        features.flags.writeable = False
        digest = hashlib.blake2b(features.tobytes(), digest_size=16).hexdigest()
        seconds = time.perf_counter() - started
        return EncodedImage(features, size, side, seconds, digest, self.name)

    def _side(self, resolution: int) -> int:
        if not isinstance(resolution, int) or isinstance(resolution, bool):
            raise OptionError(f"resolution {resolution!r} is not possible: use a whole number")
        return self.spec.image.with_side(resolution).side

    def _checked(self, image: EncodedImage, resolution: int | None = None) -> EncodedImage:
        if image.model != self.name or image.features.shape[-1] != self._language.hidden:
            raise OptionError(
                f"the picture was encoded by {image.model}; encode it again with {self.name}"
            )
        if resolution is not None and resolution != image.resolution:
            raise OptionError(
                f"the picture was encoded at {image.resolution}; "
                f"encode the picture itself again to see it at {resolution}"
            )
        return image

    def _encode_all(self, pictures: Pictures) -> tuple[list[EncodedImage], float]:
        """Encoded pictures, and the seconds spent on those that weren't."""
        started = time.perf_counter()
        several = pictures if isinstance(pictures, (list, tuple)) else [pictures]
        return [self.encode(one) for one in several], time.perf_counter() - started

    # -- replies -----------------------------------------------------------------------------------

    def stream(
        self, picture: Pictures, prompt: str, options: SamplingOptions | None = None
    ) -> Iterator[Chunk]:
        """The reply to a question about a picture or several (a list), as it comes.

        Pictures stand before the question, in order; a "<image>" in the question is plain text.
        The last chunk carries statistics.  Closing the iterator ends the work.

        Raises OptionError (at once) for an empty question, ImageError (at the first chunk).
        """
        _check_prompt(prompt)
        return self._stream(picture, prompt, options or SamplingOptions())

    def ask(self, picture: Pictures, prompt: str, options: SamplingOptions | None = None) -> str:
        """The whole reply; see `stream`."""
        return "".join(chunk.text for chunk in self.stream(picture, prompt, options))

    def chat(self, picture: Pictures, options: SamplingOptions | None = None) -> Conversation:
        """A conversation about a picture or several, which are looked at now."""
        images, _ = self._encode_all(picture)
        return Conversation(self, images, options or SamplingOptions())

    def score(self, picture: Pictures, prompt: str, answers: Sequence[str]) -> list[float]:
        """Natural log-probability of each answer being the whole reply.

        Summed over the answer's tokens and the token that ends the reply, so that "yes" isn't
        credited with every reply that begins with it; not divided by length.

        Raises as `stream` does, at once.
        """
        _check_prompt(prompt)
        if isinstance(answers, str) or not all(isinstance(answer, str) for answer in answers):
            raise OptionError('answers must be a list of texts, such as ["yes", "no"]')
        images, _ = self._encode_all(picture)
        pieces = self._question(prompt, images)
        keys = prompt_keys(pieces, images)
        with self._pool.borrow(keys) as lease:
            cache = lease.cache
            first = cache.append(self._embed(pieces, images, cache.length))
            scores = []
            for answer in answers:
                ids = [*self.tokenizer.encode(answer), self._end_token()]
                scores.append(sum(log_probabilities(self._language, cache, first, ids)))
                cache.truncate(len(keys))
        return scores

    def _stream(self, pictures: Pictures, prompt: str, options: SamplingOptions) -> Iterator[Chunk]:
        started = time.perf_counter()
        images, vision = self._encode_all(pictures)
        yield from self._reply(self._question(prompt, images), images, options, started, vision)

    def _question(self, prompt: str, images: Sequence[EncodedImage]) -> list[Piece]:
        return chat_pieces(self.tokenizer, [user_message(prompt, len(images))], self.spec.prompt)

    def _reply(
        self,
        pieces: Sequence[Piece],
        images: Sequence[EncodedImage],
        options: SamplingOptions,
        started: float,
        vision: float,
    ) -> Iterator[Chunk]:
        """Chunks of the reply to a tokenised prompt: the one way text is generated."""
        keys = prompt_keys(pieces, images)
        text = TextStream(self.tokenizer, options.stop)
        clock = _Clock(started)
        finish = "length" if options.max_tokens == 0 else "end"
        with self._pool.borrow(keys) as lease:
            cached = lease.cache.length
            embeds = self._embed(pieces, images, cached)
            sampler = make_sampler(options)
            ids = generate(
                self._language, lease.cache, embeds, sampler, self._stop_ids, options.max_tokens
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
        stats = clock.stats(vision, len(keys), image_tokens, cached)
        yield Chunk(rest, None, stats, finish)

    def _embed(
        self, pieces: Sequence[Piece], images: Sequence[EncodedImage], start: int
    ) -> NDArray[np.float32]:
        """Embeddings (T, hidden) of a prompt from position `start` on, features in their slots."""
        parts: list[NDArray[np.float32]] = []
        for piece in pieces:
            length = len(images[piece.index].features if isinstance(piece, ImageSlot) else piece)
            if start < length:
                parts.append(
                    images[piece.index].features[start:]
                    if isinstance(piece, ImageSlot)
                    else self._language.embed(piece[start:])
                )
            start = max(start - length, 0)
        return np.concatenate(parts)

    def _end_token(self) -> int:
        return min(self._stop_ids) if self._end_id is None else self._end_id


class Conversation:
    """Questions about the same pictures, each knowing what was said before.

    One question at a time; a reply that is closed early is remembered as far as it came.
    """

    def __init__(
        self, vlm: FastVLM, images: Sequence[EncodedImage], options: SamplingOptions
    ) -> None:
        self._vlm = vlm
        self._images = tuple(vlm.encode(image) for image in images)
        self._options = options
        self._pieces: list[Piece] = []
        self._busy = False
        self.messages: list[tuple[str, str]] = []  # ("user" or "assistant", text)

    def say(self, text: str, options: SamplingOptions | None = None) -> Iterator[Chunk]:
        """The reply to the next question, as `FastVLM.stream` gives it.

        Raises OptionError for an empty question, or while another reply is still coming.
        """
        _check_prompt(text)
        return self._say(text, options or self._options)

    def ask(self, text: str, options: SamplingOptions | None = None) -> str:
        """The whole reply to the next question."""
        return "".join(chunk.text for chunk in self.say(text, options))

    def _say(self, text: str, options: SamplingOptions) -> Iterator[Chunk]:
        if self._busy:
            raise OptionError("the last reply is still coming: read it to its end, or close it")
        self._busy = True
        ids: list[int] = []
        said: list[str] = []
        finish: str | None = None
        asked = self._pieces + self._next(text)
        try:
            started = time.perf_counter()
            for chunk in self._vlm._reply(asked, self._images, options, started, 0.0):
                if chunk.token_id is not None:
                    ids.append(chunk.token_id)
                said.append(chunk.text)
                finish = chunk.finish
                yield chunk
            self._remember(text, asked, ids, said, finish)
        except GeneratorExit:  # closed early: what was shown is what was said
            self._remember(text, asked, ids, said, finish)
            raise
        finally:
            self._busy = False

    def _next(self, text: str) -> list[Piece]:
        vlm = self._vlm
        pictures = 0 if self._pieces else len(self._images)
        message = user_message(text, pictures)
        return chat_pieces(vlm.tokenizer, [message], vlm.spec.prompt, continued=bool(self._pieces))

    def _remember(
        self,
        text: str,
        asked: list[Piece],
        ids: list[int],
        said: list[str],
        finish: str | None,
    ) -> None:
        reply = "".join(said)
        # A stop string and what came with it were never shown, so they weren't said either.
        kept = self._vlm.tokenizer.encode(reply) if finish == "stop" else ids
        self._pieces = [*asked, kept] if kept else asked
        self.messages += [("user", text), ("assistant", reply)]


class _Clock:
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

    def stats(self, vision: float, prompt: int, image: int, cached: int) -> Stats:
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
        )


def user_message(text: str, pictures: int) -> Message:
    """Pictures 0 .. n - 1, each on a line of its own, then the text: "<image>\\n{text}"."""
    content: list[str | ImageSlot] = []
    for index in range(pictures):
        content += [ImageSlot(index), "\n"]
    return Message("user", (*content, text))


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


def _check_prompt(prompt: str) -> None:
    if not isinstance(prompt, str):
        raise OptionError(f"the question must be text, not {type(prompt).__name__}")
    if not prompt.strip():
        raise OptionError("the question is empty; ask something, such as PRESETS['describe']")
