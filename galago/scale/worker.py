"""A worker: models, opened once, and what they make of pictures, many at a time.

It shares nothing with other workers; wherever it runs, the same pictures give the same rows.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galago.clip.mobileclip import DRAFT
from galago.errors import ImageError, OptionError, UnopenedError
from galago.media.preprocess import normalise
from galago.scale.items import Item
from galago.scale.rows import Batch, Made, Row
from galago.specs import ImageSpec

if TYPE_CHECKING:
    from galago.media.images import Square
    from galago.media.pool import PicturePool

__all__ = ["Captioner", "Vectors", "Work", "Worker", "open_worker"]

_TOGETHER = 8  # pictures in the model at once, as in MobileCLIP.embed_pixels
_NO_MEMORY = "needs more memory than there is now"


@dataclass(frozen=True)
class Work:
    """What is done with every picture, the same on every machine.

    batch: pictures that a worker has at once.  threads: processors of a worker, None for all.
    seconds: a picture's limit on a processor, None for PicturePool's.  prompt: the question of
    captions, "" for none; read: whether what is written in pictures is read; both by `captioner`.
    """

    model: str
    precision: str = "auto"
    captioner: str = ""
    prompt: str = ""
    read: bool = False
    vectors: str = "float32"
    batch: int = 64
    threads: int | None = None
    seconds: float | None = None
    offline: bool = False

    @property
    def speaks(self) -> bool:
        """Whether pictures are looked at by a FastVLM, too."""
        return bool(self.prompt) or self.read


class Vectors(Protocol):
    """What a worker asks of the model that makes vectors; galago.MobileCLIP is one."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def precision(self) -> str: ...

    @property
    def spec(self) -> Any: ...

    def embed_pixels(self, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]: ...


class Captioner(Protocol):
    """What a worker asks of the model that speaks: `captions.Speaking` is one."""

    @property
    def name(self) -> str: ...

    def prepare(self, picture: bytes) -> Any:
        """Opened for `describe`; ImageError."""
        ...

    def describe(self, prepared: Any) -> tuple[str | None, float | None, str | None]:
        """A caption and its confidence, and what is written there; None for what isn't asked."""
        ...


@dataclass
class _Opened:
    """A picture, read and opened; or why it can't be, `now` if another time it may."""

    row: Row
    square: Square | None = None
    prepared: Any = None
    later: str = ""


@dataclass
class Worker:
    """Models and the processes that open pictures for them; called from two threads at once, one
    opens pictures while the other's are in the models."""

    work: Work
    vectors: Vectors
    pool: PicturePool
    captioner: Captioner | None = None
    openers: int = 1  # pictures that are opened at once
    _most: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._most = self.work.batch
        self._openers = ThreadPoolExecutor(self.openers, "galago-open")

    @property
    def made(self) -> Made:
        """What its rows have in common."""
        captioner = self.captioner.name if self.captioner else ""
        work = self.work
        return Made(self.vectors.name, self.vectors.identity, self.vectors.dim, work.vectors,
                    captioner, work.prompt, work.read)  # fmt: skip

    def __call__(self, items: Sequence[Item]) -> Batch:
        """A row a picture, in order, but of those that couldn't be read now.

        What needs more memory than there is is done again, half as much at once, from now on.
        """
        done: list[Batch] = []
        start = 0
        while start < len(items):
            part = items[start : start + self._most]
            try:
                done.append(self._rows(part))
            except Exception as error:
                if not _lacks_memory(error):
                    raise
                if len(part) == 1:
                    # Others may have it for a moment: no error for good, another run tries again.
                    unread = [(part[0].name, _NO_MEMORY)]
                    done.append(Batch([], unread, self.vectors.precision))
                else:
                    self._most = max(1, len(part) // 2)
                    continue
            start += len(part)
        return Batch.joined(done)

    def close(self) -> None:
        """End what opens pictures."""
        self.pool.close()
        self._openers.shutdown(cancel_futures=True)

    def _rows(self, items: Sequence[Item]) -> Batch:
        opened = list(self._openers.map(self._open, items))
        good = [one for one in opened if one.square is not None]
        with self._lock:
            for start in range(0, len(good), _TOGETHER):
                part = good[start : start + _TOGETHER]
                spec = self.vectors.spec.image
                pixels = [normalise(one.square.pixels, spec) for one in part if one.square]
                for one, vector in zip(
                    part, self.vectors.embed_pixels(np.stack(pixels)), strict=True
                ):
                    one.row.vector = vector
            for one in good if self.captioner is not None else ():
                self._describe(one)
        batch = Batch([one.row for one in opened if not one.later], [], self.vectors.precision)
        batch.unread = [(one.row.name, one.later) for one in opened if one.later]
        return batch

    def _open(self, item: Item) -> _Opened:
        one = _Opened(Row(item.name, item.size, item.modified))
        try:
            data = item.place.read()
        except ImageError as error:
            one.row.error = str(error)
            return one
        except OSError as error:  # a throttling bucket, a folder that isn't mounted here
            one.later = error.strerror or _short(item.label, error)
            return one
        except (ValueError, OptionError) as error:  # a line that is no path, an unknown scheme
            one.later = _short(item.label, error)
            return one
        one.row.size = len(data) if item.size is None else item.size
        one.row.sha256 = hashlib.sha256(data).hexdigest()
        label = item.label
        try:
            spec: ImageSpec = self.vectors.spec.image
            square = self.pool.load_square(data, spec, name=label, draft=DRAFT)
            if self.captioner is not None:
                one.prepared = self.captioner.prepare(data)
        except UnopenedError as error:
            one.later = _without(label, error)
        except ImageError as error:
            one.row.error = _without(label, error)
        else:
            one.square = square
            one.row.width, one.row.height = square.size
        return one

    def _describe(self, one: _Opened) -> None:
        assert self.captioner is not None
        row = one.row
        row.caption, row.confidence, row.text = self.captioner.describe(one.prepared)


def open_worker(work: Work, progress: Any = None) -> Worker:
    """A worker with the models that `work` names; raises as their `load` does."""
    import os

    from galago.clip.mobileclip import MobileCLIP
    from galago.media.pool import PicturePool

    offline = work.offline or None
    # As many pictures are opened at once as there are processors for them.
    openers = work.threads or min(8, os.cpu_count() or 1)
    pool = PicturePool(openers, seconds=work.seconds)
    clip = MobileCLIP.load(
        work.model, precision=work.precision, offline=offline, threads=work.threads,
        progress=progress, pool=pool,
    )  # fmt: skip
    captioner = None
    if work.speaks:
        from galago.scale.captions import Speaking

        captioner = Speaking.load(work, pool, progress)
    return Worker(work, clip, pool, captioner, openers)


def _lacks_memory(error: Exception) -> bool:
    """Whether there is too little; OpenVINO says so in the words of what it calls."""
    words = str(error).lower()
    alloc = "alloc" in words or "out of memory" in words or "not enough memory" in words
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and alloc)


def _short(label: str, error: Exception) -> str:
    return " ".join(_without(label, error).split())[:160] or "can't be read"


def _without(label: str, error: Exception) -> str:
    """What is wrong with a picture, without its name, which the row has."""
    return str(error).removeprefix(label).strip() or str(error)
