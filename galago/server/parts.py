"""What is passed in: the models and the album, as far as the server knows them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galago.media.images import Source
from galago.media.pool import PicturePool
from galago.text.chat import Message
from galago.vlm.reply import Chunk, EncodedImage
from galago.vlm.sampling import SamplingOptions

__all__ = ["Album", "Answer", "Clip", "LeftOut", "Parts", "Photo", "Vlm"]

Float = NDArray[np.float32]


class Vlm(Protocol):
    """galago.FastVLM is one."""

    name: str
    resolution: int

    def encode(self, picture: Source, resolution: int | None = None) -> EncodedImage: ...

    def prompt_length(
        self, messages: Sequence[Message], images: Sequence[EncodedImage] = ()
    ) -> int: ...

    def reply(
        self,
        messages: Sequence[Message],
        images: Sequence[EncodedImage] = (),
        options: SamplingOptions | None = None,
    ) -> Iterator[Chunk]: ...


class Labels(Protocol):
    """galago.LabelSet is one."""

    @property
    def strange(self) -> Sequence[str]: ...


class Sorting(Protocol):
    """What MobileCLIP.sort_pixels gives is one."""

    @property
    def shares(self) -> Sequence[float]: ...

    @property
    def known(self) -> float | None: ...

    @property
    def doubted(self) -> bool: ...


class Clip(Protocol):
    """galago.MobileCLIP is one."""

    name: str

    @property
    def dim(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...

    def prepare(self, picture: Source, *, name: str | None = None) -> Float: ...

    def embed_pixels(self, pixel_values: Float) -> Float: ...

    def embed_texts(self, texts: Sequence[str]) -> Float: ...

    def label_set(self, labels: Sequence[str]) -> Labels: ...

    def sort_pixels(self, pixel_values: Float, labels: Any) -> Sorting: ...


class Photo(Protocol):
    """galago.album.Found is one."""

    @property
    def path(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def score(self) -> float: ...

    @property
    def match(self) -> bool: ...

    @property
    def copies(self) -> Sequence[str]: ...

    @property
    def close(self) -> bool: ...


class LeftOut(Protocol):
    """galago.album.LeftOut is one."""

    def __bool__(self) -> bool: ...

    def sentence(self) -> str: ...


class Answer(Protocol):
    """galago.album.Checked is one: photos that were looked up on the disk."""

    @property
    def left_out(self) -> LeftOut: ...

    @property
    def strange(self) -> Sequence[str]: ...

    def __iter__(self) -> Iterator[Photo]: ...


class Album(Protocol):
    """galago.album.Guide is one."""

    name: str
    model: str

    def find(
        self,
        words: Sequence[str] = (),
        pictures: Sequence[Source] = (),
        minus: Sequence[str] = (),
        k: int = 12,
    ) -> Answer: ...

    def photo(self, number: int) -> str | None: ...

    def count(self) -> int: ...

    def sights(self, numbers: Sequence[int]) -> dict[int, list[str]]: ...


@dataclass(frozen=True)
class Parts:
    """One model that answers, one that finds, and the album if there is one.

    `album` is asked each time, as it may be made while the server runs; it raises GalagoError for
    one that can't be opened.  `clip_lock` is held while the MobileCLIP works.  `pool` opens
    pictures of requests and of the album; it is closed when the server stops.
    """

    vlm: Vlm
    clip: Clip
    album: Callable[[], Album | None] = lambda: None
    clip_lock: threading.Lock = field(default_factory=threading.Lock)
    pool: PicturePool | None = None
