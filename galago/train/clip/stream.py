"""Reinforced shards as batches, read in a stream: memory holds what is shuffled and no more.

Where there are as many shards as readers, each reads its own; else all read all and each keeps its
own batches, so that several processes see together what one sees with a batch so many times as
large.  What comes is a function of the seed and the step: a training goes on where it was stopped.
"""

from __future__ import annotations

import os
import random
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from time import sleep

import numpy as np
import torch
import torch.nn.functional as F
import webdataset
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.gopen import gopen_schemes

from galago.errors import GalagoError, OptionError
from galago.specs import ClipSpec
from galago.text.clip_tokens import load_clip_tokenizer
from galago.train.clip.augment import replay
from galago.train.clip.shards import Sample, SampleError, members, plain, read_sample

__all__ = [
    "Batch",
    "Lessons",
    "Place",
    "Stream",
    "find_shards",
    "first_sample",
    "is_far",
    "read_shard",
]

_WAITS = (1.0, 4.0, 16.0, 60.0)  # seconds before another try at a shard that doesn't open
_Raw = tuple[int, str, str, dict[str, bytes]]  # epoch, shard, key, members


@dataclass(frozen=True)
class Place:
    """Which of several processes this is."""

    rank: int = 0
    world: int = 1


@dataclass
class Batch:
    """pixels: uint8 (b, 3, side, side).  texts: ids (b, T) int64 of a caption each, and of a
    synthetic one, if there are any; image_rows and text_rows: the teachers', float32 (b, numbers).
    notes: what is to be said about the reading.
    """

    pixels: torch.Tensor
    texts: list[torch.Tensor]
    image_rows: torch.Tensor
    text_rows: list[torch.Tensor]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Lessons:
    """What is learnt: shards by path or URL, the numbers of the teachers' rows in them, whether
    synthetic captions are, and for which student."""

    shards: tuple[str, ...]
    dims: tuple[int, ...]
    two: bool
    spec: ClipSpec
    batch: int  # of one process
    seed: int
    shuffle: int


def find_shards(place: str) -> tuple[str, ...]:
    """The shards of a folder, or of a name with braces as webdataset takes it ("https://host/
    {00000..00099}.tar", "pipe:aws s3 cp s3://bucket/{00000..00099}.tar -").  OptionError for none.
    """
    # Absolute: else webdataset would take a file called "pipe:rm x; .tar" for a command and run it.
    path = Path(os.path.abspath(os.path.expanduser(place)))
    if path.is_dir():
        found = tuple(str(one) for one in sorted(path.glob("*.tar")))
        if not found:
            raise OptionError(f"{path} holds no shards (.tar): galago reinforce makes them")
        return found
    return tuple(_place_of(shard) for shard in webdataset.shardlists.expand_urls(place))


def _place_of(shard: str) -> str:
    path = os.path.abspath(os.path.expanduser(shard))
    if os.path.isfile(path):
        return path
    scheme, colon, _ = shard.partition(":")
    if not colon or "/" in scheme:
        raise OptionError(f"no such shard: {shard}")
    if scheme not in gopen_schemes and scheme != "file":
        raise OptionError(
            f"{scheme}: is no address that webdataset opens: let a command of yours read it, as "
            "'pipe:aws s3 cp s3://bucket/{00000..00099}.tar -'"
        )
    return shard


def is_far(shard: str) -> bool:
    """Whether a shard of find_shards is read by network, or by a command that may."""
    return not os.path.isabs(shard) and not shard.startswith("file:")


def first_sample(shards: Sequence[str]) -> Sample:
    """A sample that can be read, which tells the rest's shape; OptionError where none can."""
    notes: list[str] = []
    for shard in shards:
        for key, held in read_shard(shard, notes):
            try:
                return read_sample(held, key, _named(shard))
            except SampleError as error:
                notes.append(str(error))
                if len(notes) > 100:
                    break
    raise OptionError(f"no sample of {len(shards)} shards can be read: {notes[0] if notes else ''}")


class Stream(IterableDataset):  # type: ignore[type-arg]
    """Batches of one process from a step on, without end; as many loading workers may share it as
    `workers` says."""

    def __init__(self, lessons: Lessons, place: Place, start: int, workers: int) -> None:
        self.lessons, self._place, self._start = lessons, place, start
        self._workers = max(1, workers)
        self._tokenizer = load_clip_tokenizer(lessons.spec.text.vocab)
        self._notes: list[str] = []

    def __iter__(self) -> Iterator[Batch | GalagoError]:
        """In a loading process what goes wrong comes as it is: torch would make a traceback of
        it."""
        try:
            yield from self._batches()
        except GalagoError as error:
            if get_worker_info() is None:
                raise
            yield error

    def _batches(self) -> Iterator[Batch]:
        info = get_worker_info()
        # The loader asks its workers in turn, the first one first.
        lane = (self._start + (info.id if info else 0)) % self._workers
        for step, chunk in self._chunks(lane):
            if step >= self._start:
                yield self._batch(chunk)

    def _chunks(self, lane: int) -> Iterator[tuple[int, list[_Raw]]]:
        """The samples of each step that this lane makes."""
        size, place, lanes = self.lessons.batch, self._place, self._workers
        readers = place.world * lanes
        if len(self.lessons.shards) >= readers:
            stream = self._raw(place.rank * lanes + lane, readers)
            for number in count():
                yield number * lanes + lane, list(islice(stream, size))
        stream = self._raw(0, 1)
        for number in count():
            chunk = list(islice(stream, size))
            step, rank = divmod(number, place.world)
            if rank == place.rank and step % lanes == lane:
                yield step, chunk

    def _raw(self, reader: int, readers: int) -> Iterator[_Raw]:
        """Samples as they lie in the shards, epoch after epoch, shards and samples shuffled.

        A reader whose own shards gave nothing reads all in its next epoch: what one damaged shard,
        or a bucket's bad hour, mustn't end.
        """
        nothing = False
        for epoch in count():
            before = nothing
            order = list(self.lessons.shards)
            random.Random(f"{self.lessons.seed}-{epoch}").shuffle(order)
            rng = random.Random(f"{self.lessons.seed}-{epoch}-{reader}")
            found = (
                (epoch, shard, key, held)
                for shard in (order if before else order[reader::readers])
                for key, held in read_shard(shard, self._notes)
            )
            nothing = True
            for one in _shuffled(found, self.lessons.shuffle, rng):
                nothing = False
                yield one
            if nothing and before:
                why = f": {self._notes[-1]}" if self._notes else ""
                raise OptionError(f"none of the shards has a sample{why}")

    def _batch(self, chunk: Sequence[_Raw]) -> Batch:
        learnt: list[_Learnt] = []
        for one in chunk:
            try:
                learnt.append(self._learn(*one))
            except SampleError as error:
                self._notes.append(f"left out: {error}")
        if not learnt:
            raise OptionError(f"a whole batch can't be read; the last: {self._notes[-1]}")
        # Every process needs as many: what can't be read is made up for by what can.
        learnt += [learnt[number % len(learnt)] for number in range(len(chunk) - len(learnt))]
        pixels = torch.from_numpy(np.stack([one.pixels for one in learnt]))
        sides = range(2 if self.lessons.two else 1)
        notes, self._notes = self._notes, []
        return Batch(
            pixels.permute(0, 3, 1, 2).contiguous(),
            [self._ids([one.texts[side] for one in learnt]) for side in sides],
            self._rows([one.image_row for one in learnt]),
            [self._rows([one.text_rows[side] for one in learnt]) for side in sides],
            notes,
        )

    def _learn(self, epoch: int, shard: str, key: str, held: dict[str, bytes]) -> _Learnt:
        where = f"{_named(shard)}:{key}"
        sample = read_sample(held, key, _named(shard))
        width = sample.image_rows.shape[1]
        if width != sum(self.lessons.dims):
            told = " + ".join(map(str, self.lessons.dims))
            raise OptionError(
                f"{where}: its rows have {width} numbers, and the teachers {told}: these shards "
                "were reinforced by others, take them out or give --dims and --scales"
            )
        rng = random.Random(f"{self.lessons.seed}-{epoch}-{key}")
        number = rng.randrange(len(sample.augmentations))
        image = plain(sample.picture, where)
        top, left, height, wide = sample.augmentations[number].box
        if top + height > image.height or left + wide > image.width:
            raise SampleError(
                where, f"its augmentations are of another picture than this of {image.size}"
            )
        try:
            square = replay(image, sample.augmentations[number], self.lessons.spec.image.side)
        except (ValueError, TypeError, OverflowError) as error:  # as 9 bits of a posterization
            raise SampleError(where, f"its augmentations can't be replayed ({error})") from None
        texts, rows = [sample.text], [sample.text_rows[0]]
        if self.lessons.two:
            said = rng.randrange(len(sample.synthetic)) if sample.synthetic else None
            texts.append(sample.text if said is None else sample.synthetic[said])
            rows.append(sample.text_rows[0 if said is None else 1 + said])
        return _Learnt(np.asarray(square), texts, sample.image_rows[number], rows)

    def _ids(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.from_numpy(self._tokenizer(texts))

    def _rows(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit again for each teacher, as they were before they were stored in half precision."""
        whole = torch.from_numpy(np.stack(rows))
        return torch.cat(
            [F.normalize(part, dim=1) for part in whole.split(self.lessons.dims, 1)], 1
        )


@dataclass(frozen=True)
class _Learnt:
    """One picture's part of a batch."""

    pixels: np.ndarray
    texts: list[str]
    image_row: np.ndarray
    text_rows: list[np.ndarray]


def _named(shard: str) -> str:
    """A shard's name for messages."""
    return shard.rstrip(" -").rpartition("/")[2]


def read_shard(shard: str, notes: list[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A shard's samples; what is wrong with it as a whole is noted, and its rest left out.

    A bucket that throttles, and gives nothing at all, is asked again, later and later.
    """
    for seconds in (*(_WAITS if is_far(shard) else ()), None):
        nothing = True
        try:
            with webdataset.gopen(shard) as stream:
                for one in members(stream):
                    nothing = False
                    yield one
            return
        except (tarfile.TarError, OSError, EOFError) as error:
            if nothing and seconds is not None:
                sleep(seconds)
                continue
            reason = " ".join(str(error).split())[:120]
            notes.append(
                f"{_named(shard)} is cut short or damaged ({reason}): its rest is left out"
            )
            return


def _shuffled(items: Iterable[_Raw], size: int, rng: random.Random) -> Iterator[_Raw]:
    """In another order, of which each place is drawn among `size` of what comes."""
    held: list[_Raw] = []
    for one in items:
        if len(held) < size:
            held.append(one)
        elif size:
            place = rng.randrange(size)
            held[place], one = one, held[place]
            yield one
        else:
            yield one
    rng.shuffle(held)
    yield from held
