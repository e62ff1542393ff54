"""A model's answer to an item: words from a FastVLM, a label from a MobileCLIP."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Protocol

from galago.clip.mobileclip import MobileCLIP
from galago.errors import ImageError, OptionError
from galago.evaluate.items import Item
from galago.rows.rows import Photo
from galago.specs import Side
from galago.vlm.fastvlm import EncodedImage, FastVLM
from galago.vlm.sampling import SamplingOptions

__all__ = ["Answer", "Asker", "ClipAsker", "VlmAsker", "key_of"]

_HELD = 4  # pictures that are looked at once, however many questions follow about them
_PIECE = 1 << 20
_BEST = 5  # labels that are kept of a picture


@dataclass(frozen=True)
class Answer:
    """What was said.

    confidence: how sure the model was, 0 to 1 (Stats.confidence; a label's probability).
    known: how probably it is right, as was measured of the model, None where it wasn't; doubted:
    that this is too little.  seconds: from opening the picture to the first token, or the label.
    finish: why a reply ended ("end", "length", …), "" of a label.  best: the likeliest labels.
    """

    said: str
    confidence: float
    known: float | None
    doubted: bool
    seconds: float
    finish: str = ""
    best: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answer:
        """KeyError, TypeError or ValueError for what is none."""
        known, seconds = value["known"], float(value["seconds"])
        if not 0 <= seconds < math.inf:
            raise ValueError("no time that anything takes")
        return cls(
            str(value["said"]),
            _share(value["confidence"]),
            None if known is None else _share(known),
            bool(value["doubted"]),
            seconds,
            str(value["finish"]),
            tuple(map(str, value["best"])),
        )


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1.001:  # shares in float32 may be a hair above
        raise ValueError("no probability")
    return share


class Asker(Protocol):
    """A model that is asked; what `identity` says decides an answer, but for the item."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Mapping[str, object]:
        """All that an answer depends on besides the item, as JSON."""

    def ask(self, item: Item) -> Answer:
        """ImageError for a picture that can't be opened, OptionError for what is too long."""


class VlmAsker:
    """A FastVLM; it answers greedily, with at most so many tokens.  `resolution` is what it was
    opened with: "auto" is told apart from the model's own."""

    def __init__(self, vlm: FastVLM, max_tokens: int, resolution: Side | None = None) -> None:
        self._vlm = vlm
        self._side: Side = "auto" if resolution == "auto" else vlm.resolution
        self._options = SamplingOptions(max_tokens=max_tokens)
        self._seen: OrderedDict[Photo, EncodedImage] = OrderedDict()

    @property
    def name(self) -> str:
        return self._vlm.name

    @property
    def identity(self) -> Mapping[str, object]:
        return {
            "model": self._vlm.name,
            "identity": self._vlm.identity,
            "weights": self._vlm.weights,  # a decoder that learnt alone has the same features
            "precision": str(self._vlm.precision),
            "resolution": self._side,
            "max_tokens": self._options.max_tokens,
        }

    def ask(self, item: Item) -> Answer:
        images = [self._encoded(photo) for photo in item.row.pictures]
        parts = []
        for chunk in self._vlm.reply(list(item.row.talk()), images, self._options):
            parts.append(chunk.text)
        stats = chunk.stats
        assert stats is not None and chunk.finish is not None  # the last one has them
        looked = sum(image.seconds for image in images)
        return Answer(
            "".join(parts).strip(),
            stats.confidence,
            stats.known,
            stats.doubted,
            looked + stats.first_token,
            chunk.finish,
        )

    def _encoded(self, photo: Photo) -> EncodedImage:
        if photo not in self._seen:
            self._seen[photo] = self._vlm.encode(photo.source())
            if len(self._seen) > _HELD:
                self._seen.popitem(last=False)
        return self._seen[photo]


class ClipAsker:
    """A MobileCLIP that chooses among labels, put into its templates."""

    def __init__(
        self, clip: MobileCLIP, labels: Sequence[str], templates: Sequence[str] | str = "photo"
    ) -> None:
        self._clip = clip
        self._labels = clip.label_set(labels, templates)
        self._templates = templates

    @property
    def name(self) -> str:
        return self._clip.name

    @property
    def identity(self) -> Mapping[str, object]:
        return {
            "model": self._clip.name,
            "identity": self._clip.identity,
            "precision": str(self._clip.precision),
            "labels": list(self._labels.labels),
            "templates": self._templates,
        }

    def ask(self, item: Item) -> Answer:
        if len(item.row.pictures) != 1:
            raise OptionError(f"{item.row.where}: a label is of one picture")
        started = time.perf_counter()
        pixels = self._clip.prepare(item.row.pictures[0].source())
        sorting = self._clip.sort_pixels(pixels, self._labels)
        seconds = time.perf_counter() - started
        pairs = zip(self._labels.labels, sorting.shares, strict=True)
        ranked = sorted(pairs, key=lambda pair: -pair[1])[:_BEST]
        said, share = ranked[0]
        best = tuple(label for label, _ in ranked)
        return Answer(said, share, sorting.known, sorting.doubted, seconds, "", best)


def key_of(item: Item) -> str:
    """Names what is asked: the pictures byte for byte, and every word; not what is right.

    ImageError for a picture that can't be read.
    """
    found = blake2b(digest_size=16)
    for photo in item.row.pictures:
        found.update(_digest(photo))
    for message in item.row.talk():
        for part in (message.role, *message.content):
            data = repr(part).encode("utf-8", "replace")
            found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()


def _digest(photo: Photo) -> bytes:
    source = photo.source()
    found = blake2b(digest_size=16)
    if isinstance(source, bytes):
        found.update(source)
        return found.digest()
    try:
        with open(str(source), "rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError as error:
        raise ImageError(f"{photo.name} can't be read: {error.strerror}") from None
    return found.digest()
