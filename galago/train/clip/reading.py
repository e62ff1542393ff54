"""Shards read in a stream: memory holds what is shuffled and no more.

Where there are as many shards as readers, each reads its own; else all read all and each keeps its
own batches, so that several processes see together what one sees with a batch so many times as
large.  What comes is a function of the seed and the step: a training goes on where it was stopped.
"""

from __future__ import annotations

import os
import random
import tarfile
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from time import sleep
from typing import Any, TypeVar

import webdataset
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.gopen import gopen_schemes

from galago.errors import GalagoError, OptionError, StorageError
from galago.progress import Progress, Stage
from galago.train.clip.shards import SampleError, members
from galago.train.clip.shelf import in_bucket, opened_far, tars

__all__ = [
    "Place",
    "Raw",
    "Reading",
    "ShardStream",
    "find_both",
    "find_shards",
    "first_readable",
    "is_far",
    "read_shard",
    "short_name",
    "tell_held_out",
]

_TOLD = 5  # of what was left out of the held-out shards
_WAITS = (1.0, 4.0, 16.0, 60.0)  # seconds before another try at a shard that doesn't open
Raw = tuple[int, str, str, dict[str, bytes]]
"""A sample as it lies in a shard: epoch, shard, key, members by extension."""
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Which of several processes this is."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Reading:
    """What is read: shards by path or URL, so many samples a batch of one process, shuffled among
    so many."""

    shards: tuple[str, ...]
    batch: int
    seed: int
    shuffle: int


def find_shards(place: str) -> tuple[str, ...]:
    """The shards of a folder, or of a name with braces as webdataset takes it ("https://host/
    {00000..00099}.tar", "pipe:some command {00000..00099}.tar"), here or in a bucket
    ("s3://bucket/folder").  OptionError for none.
    """
    if _bucket(place):
        named = webdataset.shardlists.expand_urls(place)
        whole = [one for one in named if one.partition("?")[0].lower().endswith(".tar")]
        return tuple(whole if whole == named else tars(place))
    # Absolute: else webdataset would take a file called "pipe:rm x; .tar" for a command and run it.
    path = Path(os.path.abspath(os.path.expanduser(place)))
    if path.is_dir():
        found = tuple(str(one) for one in sorted(path.glob("*.tar")))
        if not found:
            raise OptionError(f"{path} holds no shards (.tar): galago reinforce makes them")
        return found
    return tuple(_place_of(shard) for shard in webdataset.shardlists.expand_urls(place))


def find_both(
    shards: str, held_out: str | None, *, offline: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those to learn from and those held out, () for None; OptionError for what is elsewhere where
    that is not wanted."""
    found, held = find_shards(shards), find_shards(held_out) if held_out else ()
    if offline and any(map(is_far, (*found, *held))):
        raise OptionError("shards elsewhere and --offline exclude each other")
    return found, held


def tell_held_out(notes: Sequence[str], progress: Progress, done: float) -> None:
    """Some of what was left out of the held-out shards, and how much more there is."""
    for note in notes[:_TOLD]:
        progress(Stage(f"held out: {note}", lasting=True), done)
    if len(notes) > _TOLD:
        words = f"held out: … and {len(notes) - _TOLD} more"
        progress(Stage(words, lasting=True), done)


def _place_of(shard: str) -> str:
    path = os.path.abspath(os.path.expanduser(shard))
    if os.path.isfile(path):
        return path
    scheme, colon, _ = shard.partition(":")
    if not colon or "/" in scheme:
        raise OptionError(f"no such shard: {shard}")
    if scheme not in gopen_schemes and scheme != "file":
        raise OptionError(
            f"{scheme}: is no address that can be opened: let a command of yours read it, as "
            "'pipe:some command {00000..00099}.tar'"
        )
    return shard


def _bucket(shard: str) -> bool:
    """Whether it is a bucket's, and not one of those that webdataset opens; gs:// it would leave to
    a command, gsutil."""
    scheme = shard.partition(":")[0].lower()
    return in_bucket(shard) and (scheme == "gs" or scheme not in {*gopen_schemes, "file"})


def is_far(shard: str) -> bool:
    """Whether a shard of find_shards is read by network, or by a command that may."""
    return not os.path.isabs(shard) and not shard.startswith("file:")


def first_readable(shards: Sequence[str], read: Callable[[dict[str, bytes], str, str], T]) -> T:
    """What `read` makes of the first sample (members, key, shard) that it doesn't refuse;
    OptionError where it refuses all."""
    notes: list[str] = []
    for shard in shards:
        for key, held in read_shard(shard, notes):
            try:
                return read(held, key, short_name(shard))
            except SampleError as error:
                notes.append(str(error))
                if len(notes) > 100:
                    break
    raise OptionError(f"no sample of {len(shards)} shards can be read: {notes[0] if notes else ''}")


class ShardStream(IterableDataset):  # type: ignore[type-arg]
    """Batches of one process from a step on, without end; as many loading workers may share it as
    `workers` says."""

    def __init__(self, reading: Reading, place: Place, start: int, workers: int) -> None:
        self._reading, self._place, self._start = reading, place, start
        self._workers = max(1, workers)
        self._notes: list[str] = []

    @property
    def threaded(self) -> bool:
        """Whether loading processes can't be forked: what has asked a bucket has threads."""
        return any(map(_bucket, self._reading.shards))

    @abstractmethod
    def _learn(self, epoch: int, shard: str, key: str, held: dict[str, bytes]) -> Any:
        """One sample's part of a batch; SampleError for one that is left out."""

    @abstractmethod
    def _batch(self, learnt: list[Any], notes: list[str]) -> Any:
        """The batch of these samples, and what is to be said about the reading."""

    def __iter__(self) -> Iterator[Any]:
        """In a loading process what goes wrong comes as it is: torch would make a traceback of
        it."""
        try:
            yield from self._batches()
        except GalagoError as error:
            if get_worker_info() is None:
                raise
            yield error

    def _batches(self) -> Iterator[Any]:
        info = get_worker_info()
        # The loader asks its workers in turn, the first one first.
        lane = (self._start + (info.id if info else 0)) % self._workers
        for step, chunk in self._chunks(lane):
            if step >= self._start:
                yield self._whole(chunk)

    def _chunks(self, lane: int) -> Iterator[tuple[int, list[Raw]]]:
        """The samples of each step that this lane makes."""
        size, place, lanes = self._reading.batch, self._place, self._workers
        readers = place.world * lanes
        if len(self._reading.shards) >= readers:
            stream = self._raw(place.rank * lanes + lane, readers)
            for number in count():
                yield number * lanes + lane, list(islice(stream, size))
        stream = self._raw(0, 1)
        for number in count():
            chunk = list(islice(stream, size))
            step, rank = divmod(number, place.world)
            if rank == place.rank and step % lanes == lane:
                yield step, chunk

    def _raw(self, reader: int, readers: int) -> Iterator[Raw]:
        """Samples as they lie in the shards, epoch after epoch, shards and samples shuffled.

        A reader whose own shards gave nothing reads all in its next epoch: what one damaged shard,
        or a bucket's bad hour, mustn't end.
        """
        nothing = False
        for epoch in count():
            before = nothing
            order = list(self._reading.shards)
            random.Random(f"{self._reading.seed}-{epoch}").shuffle(order)
            rng = random.Random(f"{self._reading.seed}-{epoch}-{reader}")
            found = (
                (epoch, shard, key, held)
                for shard in (order if before else order[reader::readers])
                for key, held in read_shard(shard, self._notes)
            )
            nothing = True
            for one in _shuffled(found, self._reading.shuffle, rng):
                nothing = False
                yield one
            if nothing and before:
                why = f": {self._notes[-1]}" if self._notes else ""
                raise OptionError(f"none of the shards has a sample{why}")

    def _whole(self, chunk: Sequence[Raw]) -> Any:
        learnt: list[Any] = []
        for one in chunk:
            try:
                learnt.append(self._learn(*one))
            except SampleError as error:
                self._notes.append(f"left out: {error}")
        if not learnt:
            raise OptionError(f"a whole batch can't be read; the last: {self._notes[-1]}")
        # Every process needs as many: what can't be read is made up for by what can.
        learnt += [learnt[number % len(learnt)] for number in range(len(chunk) - len(learnt))]
        notes, self._notes = self._notes, []
        return self._batch(learnt, notes)


def short_name(shard: str) -> str:
    """A shard's name for messages."""
    return shard.rstrip(" -").rpartition("/")[2]


def read_shard(shard: str, notes: list[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A shard's samples; what is wrong with it as a whole is noted, and its rest left out.

    What is far and gives nothing at all, or breaks off as a bucket does that throttles, is asked
    again, later and later, and goes on where it was; StorageError for a bucket that refuses still.
    """
    given = 0
    for seconds in (*(_WAITS if is_far(shard) else ()), None):
        try:
            with _opened(shard) as stream:
                for number, one in enumerate(members(stream)):
                    if number >= given:
                        given += 1
                        yield one
            return
        except (tarfile.TarError, OSError, EOFError) as error:
            reason = " ".join(str(error).split())[:120]
            absent = isinstance(error, FileNotFoundError)
            refused = isinstance(error, OSError) and not absent and _bucket(shard)
            if seconds is not None and not absent and (refused or not given):
                sleep(seconds)
                continue
            if refused:
                raise StorageError(
                    f"{shard} doesn't answer or refuses ({reason}): run the same again, which goes "
                    "on where this ended"
                ) from None
            notes.append(
                f"{short_name(shard)} is cut short or damaged ({reason}): its rest is left out"
            )
            return


def _opened(shard: str) -> AbstractContextManager[Any]:
    return opened_far(shard) if _bucket(shard) else webdataset.gopen(shard)


def _shuffled(items: Iterable[Raw], size: int, rng: random.Random) -> Iterator[Raw]:
    """In another order, of which each place is drawn among `size` of what comes."""
    held: list[Raw] = []
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
