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
from galago.server.album_parts import Alike, Indexer, LeftOut
from galago.text.chat import Message
from galago.text.queries import Translate
from galago.vlm.reply import Chunk, EncodedImage
from galago.vlm.sampling import SamplingOptions

__all__ = ["Album", "Answer", "Clip", "LeftOut", "LiveVlm", "Parts", "Photo", "Seen", "Vlm"]

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


class LiveVlm(Protocol):
    """A quick model for live pictures, not in memory until it is first asked."""

    @property
    def name(self) -> str: ...

    def load(self) -> Vlm:
        """GalagoError when it can't be opened, or there is no memory for it any more."""
        ...


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
    def score(self) -> float | None: ...

    @property
    def match(self) -> bool: ...

    @property
    def copies(self) -> Sequence[str]: ...

    @property
    def close(self) -> bool: ...

    @property
    def taken(self) -> str: ...

    @property
    def second(self) -> float | None: ...

    @property
    def by_file(self) -> bool: ...

    @property
    def text(self) -> str | None: ...

    @property
    def kind(self) -> str | None: ...

    @property
    def caption(self) -> str | None: ...


class Answer(Protocol):
    """galago.album.Checked is one: photos that were looked up on the disk."""

    @property
    def left_out(self) -> LeftOut: ...

    @property
    def strange(self) -> Sequence[str]: ...

    def __iter__(self) -> Iterator[Photo]: ...


class Seen(Protocol):
    """galago.album.keeper.Keeper is one: what a camera saw goes into an album."""

    @property
    def kept_for(self) -> float | None: ...

    def keep(self, image: Source, caption: str) -> bool: ...

    def forget(self, last: float) -> int: ...


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
        *,
        folders: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        text: str | None = None,
    ) -> Answer: ...

    def photo(self, number: int) -> str | None: ...

    def number_of(self, path: str) -> int | None: ...

    def count(self) -> int: ...

    def folders(self) -> Sequence[str]: ...

    def sights(self, numbers: Sequence[int]) -> dict[int, list[str]]: ...


@dataclass(frozen=True)
class Parts:
    """One model that answers, one that finds, and the album if there is one.

    `album` is asked each time, as it may be made while the server runs; it raises GalagoError for
    one that can't be opened.  `clip_lock` is held while the MobileCLIP works.  `pool` opens
    pictures of requests and of the album; it is closed when the server stops.  `translate` puts a
    query into English; None where the model that answers was never taught to.  `seen` takes what
    the page's camera saw; None: nothing of that is kept.  `live` is a second, quick model where
    there is one; `indexer` and `duplicates` are the album's long work.
    """

    vlm: Vlm
    clip: Clip
    album: Callable[[], Album | None] = lambda: None
    clip_lock: threading.Lock = field(default_factory=threading.Lock)
    pool: PicturePool | None = None
    translate: Translate | None = None
    seen: Seen | None = None
    live: LiveVlm | None = None
    indexer: Indexer | None = None
    duplicates: Alike | None = None
