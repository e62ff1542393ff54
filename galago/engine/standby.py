"""A part of a model on a device, and the CPU behind it: meanwhile, and when the device fails.

Who asks a model something wants an answer. So the CPU takes over what a device can't finish, in the
middle of an answer too: a decoder's cache on a dead device is lost, and what was fed to it is fed
to the CPU again. It does so once and for all, and says so in a line. What isn't a number counts as
a failure: a device that computes in 16 bits may run out of them on a picture that none was tried
on before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float
from galago.engine.batching import BatchedCache, BatchedDecoder
from galago.engine.vlm_sessions import VisionSession

__all__ = ["Standby", "SteadyCache", "SteadyDecoder", "SteadyVision", "Story", "last_words"]

Part = TypeVar("Part")
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Story:
    """Where a part runs and what is known of that, in a line; `refused`: not where it was to."""

    line: str
    refused: bool = False


class Standby(Generic[Part]):
    """Which of two parts is to be used now. Safe to use from several threads."""

    def __init__(self, what: str, device: str, on_cpu: Callable[[], Part], tell: Tell) -> None:
        """`what` runs on `device`, for messages; `on_cpu` makes it there, at most once."""
        self._what, self._device = what, device
        self._on_cpu, self._tell = on_cpu, tell
        self._lock = threading.Lock()
        self._ours: Part | None = None  # the CPU's, once it was needed
        self._theirs: Part | None = None
        self._gone = False
        self.story = Story(f"{what} on CPU")

    def arrive(self, part: Part, story: str) -> None:
        """From now on the device's is used, unless it failed; `story` says what is known of it."""
        with self._lock:
            self._theirs = None if self._gone else part
            self.story = self.story if self._gone else Story(story)

    def stay(self, story: str) -> None:
        """The CPU's it is, for the reason told."""
        self.story = Story(story, refused=True)

    def now(self) -> Part:
        """The one to use."""
        theirs = self._theirs
        return self.ours() if theirs is None else theirs

    def ours(self) -> Part:
        """The CPU's."""
        with self._lock:
            if self._ours is None:
                self._ours = self._on_cpu()
            return self._ours

    def let_ours_go(self) -> None:
        """Free the CPU's, while nobody has a cache in it; it is made again when it is needed."""
        with self._lock:
            self._ours = None

    def leave(self, part: Part, error: RuntimeError) -> Part:
        """The CPU's instead of one that failed; raises `error` where that was the CPU's."""
        with self._lock:
            if part is self._ours:
                raise error
            first, self._gone, self._theirs = not self._gone, True, None
        if first:
            why = last_words(error)
            self.story = Story(f"{self._what} on CPU: {self._device} failed ({why})", refused=True)
            self._tell(f"{self._device} failed ({why}): {self._what} goes on with the CPU")
        return self.ours()

    def run(self, use: Callable[[Part], Float]) -> Float:
        """What `use` makes with the one to use, or with the CPU's behind a device that failed."""
        part = self.now()
        try:
            return self.numbers(part, use(part))
        except RuntimeError as error:
            return use(self.leave(part, error))

    def numbers(self, part: Part, found: Float) -> Float:
        """The same; RuntimeError where a device's aren't numbers."""
        if part is not self._ours and not np.isfinite(found).all():
            raise RuntimeError("it computed something that is not a number")
        return found


class SteadyVision:
    """Trunk and projector (galago.vlm.reply.VisionModel)."""

    def __init__(self, standby: Standby[VisionSession]) -> None:
        self._standby = standby

    def encode(self, pixel_values: Float) -> Float:
        """As VisionSession.encode."""
        return self._standby.run(lambda session: session.encode(pixel_values))


class SteadyDecoder:
    """A decoder (galago.vlm.decode.LanguageModel) whose caches outlive its device."""

    def __init__(self, standby: Standby[BatchedDecoder]) -> None:
        self.standby = standby
        some = standby.now()
        self.hidden, self.vocab = some.hidden, some.vocab

    def embed(self, ids: npt.ArrayLike) -> Float:
        """As LanguageSession.embed."""
        return self.standby.now().embed(ids)

    def new_cache(self) -> SteadyCache:
        """An empty cache, for one thread at a time."""
        return SteadyCache(self.standby)

    def continuing_pays(self, known: int, new: int) -> bool:
        """As LanguageSession.continuing_pays."""
        return self.standby.now().continuing_pays(known, new)


class SteadyCache:
    """A cache that remembers what it was fed, and so can move from one decoder to another.

    It moves at the next prompt when a device has become ready: an answer that has begun ends where
    it is, unless the device fails.
    """

    def __init__(self, standby: Standby[BatchedDecoder]) -> None:
        self._standby = standby
        self._decoder: BatchedDecoder | None = None
        self._cache: BatchedCache | None = None
        self._fed: list[Float] = []  # (T, hidden) each
        self.length = 0

    def append(self, inputs_embeds: Float) -> Float:
        """As KVCache.append for (T, hidden)."""
        return self._feed(inputs_embeds, every=False)

    def append_all(self, inputs_embeds: Float) -> Float:
        """As KVCache.append_all for (T, hidden)."""
        return self._feed(inputs_embeds, every=True)

    def truncate(self, length: int) -> None:
        """As KVCache.truncate."""
        if length == self.length:
            return
        if self._cache is not None:
            try:
                self._cache.truncate(length)
            except RuntimeError as error:
                assert self._decoder is not None
                self._standby.leave(self._decoder, error)
                self._cache = None  # what is left is fed again
        left, kept = length, []
        for part in self._fed:
            if left > 0:
                kept.append(part[:left])
            left -= len(part)
        self._fed, self.length = kept, length

    def rest(self) -> None:
        """As KVCache.rest."""
        if self._cache is not None:
            self._cache.rest()

    def _feed(self, inputs_embeds: Float, *, every: bool) -> Float:
        decoder = self._decoder
        if self._cache is None or decoder is None or len(inputs_embeds) > 1:
            decoder = self._standby.now()
        try:
            logits = self._fed_to(decoder, inputs_embeds, every=every)
        except RuntimeError as error:
            decoder = self._standby.leave(decoder, error)
            logits = self._fed_to(decoder, inputs_embeds, every=every)
        self._fed.append(np.array(inputs_embeds, np.float32))
        self.length += len(inputs_embeds)
        return logits

    def _fed_to(self, decoder: BatchedDecoder, inputs_embeds: Float, *, every: bool) -> Float:
        """Logits of this decoder, which is told first what another one was."""
        cache = self._cache
        if cache is None or decoder is not self._decoder:
            if cache is not None:
                cache.rest()
            self._decoder, self._cache = decoder, (cache := decoder.new_cache())
            if self._fed:
                cache.append(np.concatenate(self._fed))
        logits = cache.append_all(inputs_embeds) if every else cache.append(inputs_embeds)
        return self._standby.numbers(decoder, logits)


def last_words(error: BaseException) -> str:
    """The end of what the engine says, in a line: its reason stands behind places in its source."""
    return " ".join(str(error).split())[-160:]
