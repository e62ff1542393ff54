"""FastVLM: pictures and a question in, words out.

`stream` is the truth; `ask` is a fold over it, and a conversation is `stream` with a memory.
A picture is looked at once: `encode` gives an EncodedImage, a value that every method takes in
place of the picture.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Union, cast

import numpy as np

from galago.errors import OptionError
from galago.media.images import Source, load_square
from galago.media.pool import PicturePool
from galago.media.preprocess import normalise
from galago.progress import Progress, silent
from galago.specs import Side, VLMSpec
from galago.text.chat import ImageSlot, Message, Piece, user_message
from galago.text.tokens import Tokenizer
from galago.vlm.conversation import Conversation
from galago.vlm.decode import LanguageModel
from galago.vlm.forms import json_form
from galago.vlm.reply import (
    Chunk,
    EncodedImage,
    Judge,
    Prepared,
    Running,
    Stats,
    VisionModel,
    check_prompt,
    prompt_keys,
    whole_text,
)
from galago.vlm.sampling import SamplingOptions
from galago.vlm.speaker import Speaker

__all__ = ["Chunk", "Conversation", "EncodedImage", "FastVLM", "Picture", "Stats", "VisionModel"]

Picture = Union[Source, Prepared, EncodedImage]  # noqa: UP007, numpy's alias is a string at run time
Pictures = Union[Picture, "Sequence[Picture]"]


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
        resolution: Side | None = None,
        pool: PicturePool | None = None,
        identity: str | None = None,
        weights: str = "",
        taught: Judge | None = None,
        stories: Callable[[], Sequence[Running]] | None = None,
    ) -> None:
        """From loaded parts; `FastVLM.load` is the usual way.

        `identity` tells this model's features from another's of the same name, `weights` its files
        from others, whatever in them changed; `taught` tells what it knows from what it doesn't,
        where that was measured; `stories` on which devices vision and language run.
        """
        self.spec = spec
        self.name = name or spec.name
        self.identity = self.name if identity is None else identity
        self.weights = weights
        self.precision = precision
        self.tokenizer = tokenizer
        self._by_content = resolution == "auto"
        chosen = None if resolution == "auto" else resolution
        self.resolution = spec.image.side if chosen is None else self._side(chosen)
        self._load_square = load_square if pool is None else pool.load_square
        self._vision = vision
        self._vision_lock = threading.Lock()  # one picture at a time: a session isn't shared
        self._speaker = Speaker(language, tokenizer, spec, taught)
        self._hidden = language.hidden
        self._stories = stories

    @property
    def devices(self) -> tuple[str, ...]:
        """Where vision and language run now, and what is known of that, a line each; nothing for a
        model made of parts that don't tell."""
        return () if self._stories is None else tuple(one.line for one in self._stories())

    @property
    def refused(self) -> bool:
        """Whether a part runs on the CPU that was to run on a device: `devices` says why."""
        return self._stories is not None and any(one.refused for one in self._stories())

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        precision: str = "auto",
        resolution: Side | None = None,
        offline: bool | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        pool: PicturePool | None = None,
        device: str | None = None,
        vision_device: str | None = None,
    ) -> FastVLM:
        """A model by name ("fastvlm-nano", "apple/FastVLM-0.5B") or from a folder; without a name
        the one that was set beforehand, else the best that is here (galago/hub/choice.py).

        Fetches and converts it first when that hasn't been done.  `precision` is auto, fp32, bf16,
        int8 or int4, or a pair of language and vision: int8-int8, int4-int8; `resolution` the side
        in pixels pictures are looked at with, the published one by default, "auto" for the smallest
        of at least 512 that holds all a picture shows (galago/media/detail.py); `offline` (or
        HF_HUB_OFFLINE=1) contacts nobody; `progress` hears stages and shares from 0 to 1; pictures
        of strangers are better opened by a `pool`, in processes with limits.

        It runs on the CPU, or on a `device`: GPU, GPU.1, NPU (vision alone, one resolution), AUTO
        (the best here, and the CPU until that is ready), HETERO:GPU,CPU; `vision_device` is that of
        vision where it is another one.  A device is compared with the CPU the first time; where it
        strays, can't run the model or fails later, the CPU takes over and `progress` hears why
        (docs/engine.md; not tried on real GPUs and NPUs).

        Raises UnknownModelError, CheckpointError, SelfCheckError, HubError, StorageError,
        OptionError.
        """
        from galago.vlm.loading import Where, load_parts

        named = os.fspath(name) if name else None
        where = Where(device, vision_device, resolution)
        parts = load_parts(named, precision, offline, threads, progress or silent, where)
        return cls(
            parts.vision,
            parts.language,
            parts.tokenizer,
            parts.spec,
            name=parts.name,
            precision=parts.precision,
            resolution=resolution,
            pool=pool,
            identity=parts.identity,
            weights=parts.weights,
            taught=parts.taught,
            stories=parts.stories,
        )

    # -- pictures ----------------------------------------------------------------------------------

    def prepare(
        self, picture: Source, resolution: int | None = None, *, page: int | None = None
    ) -> Prepared:
        """Open a picture for `encode`, which takes it in its place.

        `page` chooses one of several in a file, from 1; without it the first, of an animation the
        first frame that isn't of one colour.  Raises as `encode` does.
        """
        side = self.resolution if resolution is None else self._side(resolution)
        by_content = self._by_content and resolution is None
        started = time.perf_counter()
        spec = self.spec.image.with_side(side)
        square = self._load_square(
            picture, spec, by_content=by_content, page=page, count_pages=True
        )
        return Prepared(square, time.perf_counter() - started)

    def encode(self, picture: Picture, resolution: int | None = None) -> EncodedImage:
        """Look at a picture: a path, bytes, file object, PIL image or uint8 array (H, W, 3).

        Raises ImageError for what can't be opened, OptionError for a side the model can't take.
        """
        if isinstance(picture, EncodedImage):
            return self._checked(picture, resolution)
        if not isinstance(picture, Prepared):
            picture = self.prepare(picture, resolution)
        started = time.perf_counter()
        square = picture.square
        pixel_values = normalise(square.pixels, self.spec.image)[None]  # (1, 3, side, side)
        with self._vision_lock:
            features = self._vision.encode(pixel_values)[0]  # (T, hidden)
        return EncodedImage(
            features,
            square.size,
            len(square.pixels),
            picture.seconds + time.perf_counter() - started,
            self.name,
            self.identity,
            square.page,
            square.pages,
        )

    def _side(self, resolution: int) -> int:
        if not isinstance(resolution, (int, np.integer)) or isinstance(resolution, bool):
            raise OptionError(f"resolution {resolution!r} is not possible: use a whole number")
        return self.spec.image.with_side(int(resolution)).side

    def _checked(self, image: EncodedImage, resolution: int | None = None) -> EncodedImage:
        if image.identity != self.identity or image.features.shape[-1] != self._hidden:
            other = "another model of that name" if image.model == self.name else image.model
            raise OptionError(f"the picture was encoded by {other}; encode it with {self.name}")
        if resolution is not None and resolution != image.resolution:
            raise OptionError(
                f"the picture was encoded at {image.resolution}; "
                f"encode the picture itself again to see it at {resolution}"
            )
        return image

    def _encode_all(self, pictures: Pictures) -> tuple[list[EncodedImage], float]:
        """Encoded pictures, and the seconds spent on those that weren't."""
        started = time.perf_counter()
        return [self.encode(one) for one in _several(pictures)], time.perf_counter() - started

    def _foresee(self, pictures: Pictures, prompt: str) -> None:
        """OptionError for a question that can't fit, before its pictures are looked at."""
        self._speaker.check_text(prompt)
        several = _several(pictures)
        pieces = self._question(prompt, several)
        words = sum(len(piece) for piece in pieces if not isinstance(piece, ImageSlot))
        self._speaker.check_length(words + sum(map(self._tokens, several)))

    def _tokens(self, picture: Picture) -> int:
        """How many tokens it will take; of a side that its content chooses, at least."""
        if isinstance(picture, EncodedImage):
            return len(picture.features)
        side = self.spec.image.min_side if self._by_content else self.resolution
        return (side // self.spec.image.stride) ** 2

    # -- replies -----------------------------------------------------------------------------------

    def stream(
        self,
        picture: Pictures,
        prompt: str,
        options: SamplingOptions | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> Iterator[Chunk]:
        """The reply to a question about a picture or several (a list), as it comes.

        Pictures stand before the question, in order; a "<image>" in the question is plain text.
        The last chunk carries statistics.  Closing the iterator ends the work.

        With a JSON `schema` (or `options.form`) the reply is JSON of that form, on one line; its
        descriptions are told to the model behind the question.  That is form, not truth: a small
        model fills in what it likes.

        Raises OptionError (at once) for an empty question, or one that is too long with its
        pictures (8,192 positions in all FastVLMs of Apple's), and a schema that can't be held to;
        MissingExtraError for a schema without llguidance; ImageError (at the first chunk).
        """
        check_prompt(prompt)
        options = options or SamplingOptions()
        if schema is not None:
            options = replace(options, form=json_form(schema))
        if options.form is not None:
            prompt = options.form.asked(prompt)
        self._foresee(picture, prompt)
        return self._stream(picture, prompt, options)

    def ask(
        self,
        picture: Pictures,
        prompt: str,
        options: SamplingOptions | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> str:
        """The whole reply; see `stream`.

        Raises UnfinishedError for one in a form that was cut, which is no JSON then.
        """
        formed = schema is not None or (options is not None and options.form is not None)
        chunks = self.stream(picture, prompt, options, schema=schema)
        return whole_text(chunks) if formed else "".join(chunk.text for chunk in chunks)

    def chat(self, picture: Pictures, options: SamplingOptions | None = None) -> Conversation:
        """A conversation about a picture or several, which are looked at now."""
        images, _ = self._encode_all(picture)
        return Conversation(self._speaker, images, options or SamplingOptions())

    def reply(
        self,
        messages: Sequence[Message],
        images: Sequence[EncodedImage] = (),
        options: SamplingOptions | None = None,
    ) -> Iterator[Chunk]:
        """The next reply of a conversation that is told anew, as `stream` gives it.

        `messages` hold slots (ImageSlot) that number the `images`; a first one of the role
        "system" takes the place of the model's own.  Raises OptionError, at once, as
        `prompt_length` does, and for what is too long.
        """
        pieces = self._conversation(messages, images)
        return self._speaker.reply(
            pieces, images, options or SamplingOptions(), time.perf_counter()
        )

    def keep_caches(self, count: int) -> None:
        """Remember the beginnings of so many prompts (2 unless told otherwise).

        As many as there are threads that ask, so that none computes what another pushed out.
        """
        self._speaker.pool.keep(count)

    def prompt_length(
        self, messages: Sequence[Message], images: Sequence[EncodedImage] = ()
    ) -> int:
        """How many positions the prompt of `reply` takes, the pictures' included.

        Raises OptionError for pictures of another model, or a slot without a picture.
        """
        return len(prompt_keys(self._conversation(messages, images), images))

    def _conversation(
        self, messages: Sequence[Message], images: Sequence[EncodedImage]
    ) -> list[Piece]:
        for image in images:
            self._checked(image)
        slots = (part for message in messages for part in message.content)
        if any(isinstance(part, ImageSlot) and part.index >= len(images) for part in slots):
            raise OptionError("a message speaks of a picture that was not given")
        texts = [part for message in messages for part in message.content if isinstance(part, str)]
        self._speaker.check_text("".join(texts))
        return self._speaker.pieces(messages)

    def score(self, picture: Pictures, prompt: str, answers: Sequence[str]) -> list[float]:
        """Natural log-probability of each answer being the whole reply.

        Summed over the answer's tokens and the token that ends the reply, so that "yes" isn't
        credited with every reply that begins with it; not divided by length.

        Raises as `stream` does, at once.
        """
        check_prompt(prompt)
        self._foresee(picture, prompt)
        if isinstance(answers, str) or not all(isinstance(answer, str) for answer in answers):
            raise OptionError('answers must be a list of texts, such as ["yes", "no"]')
        images, _ = self._encode_all(picture)
        return self._speaker.score(self._question(prompt, images), images, answers)

    def _stream(self, pictures: Pictures, prompt: str, options: SamplingOptions) -> Iterator[Chunk]:
        started = time.perf_counter()
        images, vision = self._encode_all(pictures)
        pieces = self._question(prompt, images)
        yield from self._speaker.reply(pieces, images, options, started, vision)

    def _question(self, prompt: str, pictures: Sequence[Picture]) -> list[Piece]:
        return self._speaker.pieces([user_message(prompt, len(pictures))])


def _several(pictures: Pictures) -> Sequence[Picture]:
    return pictures if isinstance(pictures, (list, tuple)) else [cast(Picture, pictures)]
