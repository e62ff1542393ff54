"""A data set reinforced: a shard a task, whole or not at all, in several processes.

The same command goes on where it was stopped: shards that are there are passed over.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import random
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from galago.errors import GalagoError, OptionError
from galago.media.images import open_image
from galago.progress import Progress, Stage, silent
from galago.train.clip.augment import Augmentation, draw, replay
from galago.train.clip.captioners import Captioner, load_captioner
from galago.train.clip.recipe import Recipe, check_plan, keep_plan
from galago.train.clip.shards import Sample, SampleError, plain, write_sample
from galago.train.clip.shelf import Folder, Shelf, lies_in, shelf_of
from galago.train.clip.sources import Given, Task, cut_of, given
from galago.train.clip.teachers import Teacher, TeacherRow, by_torch, describe, load_teacher
from galago.train.clip.workers import Tell, Told, work

__all__ = ["LeftOut", "Reinforced", "reinforce"]


_SHARED = "OUT has to lie in a folder that all machines share, or in a bucket"


@dataclass(frozen=True)
class LeftOut:
    """A picture that gave no row, or a shard that could not be read: where, and why."""

    where: str
    why: str


@dataclass
class Reinforced:
    """What there is when all is done: shards made now and found done, their rows, and what was left
    out of them; `failed` are shards that weren't made."""

    folder: str
    made: int = 0
    found: int = 0
    rows: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    failed: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """In one level but for the lists."""
        return dataclasses.asdict(self)


def reinforce(
    tasks: Sequence[Task],
    out: Path | str,
    recipe: Recipe,
    processes: int,
    progress: Progress = silent,
    ray: str = "",
) -> Reinforced:
    """Write the shards of the tasks to `out`, a folder or the address of one in a bucket.

    ray: "local" or a cluster's address, whose actors do it, so many at most; "" for processes.

    Raises OptionError for shards of another recipe there, StorageError, what loading the teachers
    raises, and GalagoError for a shard in which processes were killed twice; KeyboardInterrupt
    leaves what is done.
    """
    started = time.monotonic()
    shelf = shelf_of(out)
    _apart(tasks, shelf)
    cut = cut_of(tasks[0])
    with shelf.alone([task.name for task in tasks]):
        check_plan(shelf, recipe, cut)
        made = _all(tasks, shelf, _works(recipe, shelf, cut, processes, ray), progress)
    made.seconds = time.monotonic() - started
    return made


def _apart(tasks: Sequence[Task], out: Shelf) -> None:
    """OptionError where OUT is IN: its tars would be taken for shards that are there."""
    if isinstance(out, Folder):
        places = [Path(task.place) for task in tasks]
        places += [Path(task.place).parent for task in tasks if task.stop is None]
        same = out.path.resolve() in {place.resolve() for place in {*places}}
    else:
        same = any(lies_in(task.place, str(out)) for task in tasks)
    if same:
        raise OptionError(f"OUT is IN, {out}: give another folder for the shards")


def _works(
    recipe: Recipe, out: Shelf, cut: dict[str, Any] | None, processes: int, ray: str
) -> Callable[[Sequence[Task]], Iterator[Told]]:
    """Who does tasks."""
    begin = functools.partial(_begin, recipe, out, cut)
    if not ray:
        return lambda tasks: work(begin, tasks, processes)
    from galago.train.clip.ray_work import ray_work

    def done(tasks: Sequence[Task]) -> Iterator[Told]:
        if not tasks:
            return
        gpu = by_torch([*recipe.teachers, *filter(None, [recipe.captioner])])
        for told in ray_work(begin, tasks, ray, processes, gpu=gpu):
            if told.kind == "done" and told.task.name not in out.there():
                raise OptionError(f"{told.task.name} was made and isn't in {out} here: {_SHARED}")
            yield told

    return done


def _all(
    tasks: Sequence[Task],
    out: Shelf,
    work: Callable[[Sequence[Task]], Iterator[Told]],
    progress: Progress,
) -> Reinforced:
    result, there = Reinforced(str(out)), out.there()
    missing = [task for task in tasks if not {task.name, _stats(task.name)} <= there]
    result.found = len(tasks) - len(missing)
    done = float(result.found)
    if result.found:
        words = f"{result.found} of {len(tasks)} shards are there already"
        progress(Stage(words, lasting=True), done / len(tasks))
    for told in work(missing):
        if told.kind == "waiting":
            line = "waiting for a free processor of the cluster, or for teachers to be loaded"
            progress(Stage(line, lasting=True), done / len(tasks))
        elif told.kind == "killed":
            words = f"a process was killed in {told.task.name}, which begins again"
            progress(Stage(words, lasting=True), done / len(tasks))
        elif told.kind == "failed":
            result.failed.append(LeftOut(told.task.name, told.what))
            progress(Stage(f"{told.task.name} is left out: {told.what}", lasting=True), 0.0)
        elif told.kind == "done":
            result.made += 1
            done += 1
        elif isinstance(told.what, LeftOut):
            words = f"a row less: {told.what.where}: {told.what.why}"
            progress(Stage(words, lasting=True), done / len(tasks))
        if told.kind in ("said", "done"):
            progress(Stage("reinforcing"), min(done / len(tasks), 0.999))
    for task in tasks:
        _count(out, task, result)
    return result


def _count(out: Shelf, task: Task, result: Reinforced) -> None:
    kept = out.told(_stats(task.name))
    result.rows += int(kept.get("rows", 0))
    result.left_out += [LeftOut(one["where"], one["why"]) for one in kept.get("left_out", [])]


def _stats(name: str) -> str:
    return f"{name.removesuffix('.tar')}.stats.json"


# -- in the processes ------------------------------------------------------------------------------


def _begin(recipe: Recipe, out: Shelf, cut: dict[str, Any] | None, tell: Tell) -> Any:
    """Load the teachers, agree on the plan, and return what makes a shard."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    if recipe.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if isinstance(out, Folder) and not out.path.is_dir():  # another machine's
        raise OptionError(f"there is no {out}: {_SHARED}")
    maker = _Maker(recipe, out)
    keep_plan(out, recipe.plan(maker.rows, cut), recipe.contents)
    return maker.shard


class _Maker:
    """One process's teachers and captioner."""

    def __init__(self, recipe: Recipe, out: Shelf) -> None:
        self.recipe, self._out = recipe, out
        offline = recipe.offline
        self._teachers: list[Teacher] = [
            load_teacher(name, offline=offline) for name in recipe.teachers
        ]
        self._captioner: Captioner | None = None
        if recipe.captioner:
            self._captioner = load_captioner(recipe.captioner, offline=offline)
        scales: Sequence[float | None] = recipe.scales or [None] * len(recipe.teachers)
        named = zip(recipe.teachers, scales, self._teachers, strict=True)
        self.rows: list[TeacherRow] = [describe(*one) for one in named]

    def shard(self, task: Task, tell: Tell) -> None:
        """Write one shard and its figures; GalagoError for a task that can't be read."""
        left: list[LeftOut] = []

        def leave(where: str, why: str) -> None:
            left.append(LeftOut(where, why))
            tell(left[-1])

        rows = 0
        with self._out.writing(task.name) as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                pictures = iter(given(task))
                while some := list(islice(pictures, self.recipe.batch)):
                    for sample in self._samples(task, some, leave):
                        write_sample(tar, sample, self.recipe.dtype)
                        rows += 1
                    tell(rows)
            if not rows:
                raise OptionError(f"no picture of {task.place} could be reinforced")
        # Last: a bucket may show a shard that was cut off while it was sent; this says it is whole.
        self._note(task, rows, left)

    def _note(self, task: Task, rows: int, left: Sequence[LeftOut]) -> None:
        stats = {"rows": rows, "left_out": [dataclasses.asdict(one) for one in left]}
        with self._out.writing(_stats(task.name)) as beside:
            beside.write(json.dumps(stats).encode())

    def _samples(self, task: Task, some: Sequence[Given], leave: Any) -> Iterator[Sample]:
        seen: list[_Seen] = []
        for one in some:
            try:
                seen.append(self._look(task, one))
            except GalagoError as error:
                leave(one.where, str(error).removeprefix(one.where).lstrip(": "))
        if not seen:
            return
        images = self._image_rows(seen)
        texts = self._text_rows(seen)
        for each, image_rows, text_rows in zip(seen, images, texts, strict=True):
            yield Sample(
                each.key, each.data, each.kind, each.texts[0], tuple(each.texts[1:]),
                tuple(each.augmentations), image_rows, text_rows,
            )  # fmt: skip

    def _look(self, task: Task, one: Given) -> _Seen:
        """Open, caption and draw; SampleError for what gives no row."""
        if one.fault:
            raise SampleError(one.where, one.fault)
        image, data, kind = _stored(one)
        rng = random.Random(f"{self.recipe.seed}-{task.name}-{one.key}")
        augmentations = [draw(*image.size, rng) for _ in range(self.recipe.augmentations)]
        synthetic: list[str] = []
        if self._captioner is not None:
            seed = rng.getrandbits(31)
            drawn = self._captioner.captions(image, self.recipe.captions, seed)
            synthetic = [text for text in drawn if text]
        if not one.text and not synthetic:
            raise SampleError(one.where, "it has no caption: a --captioner writes them")
        # Without one of its own the first synthetic caption is its caption.
        texts = [one.text or synthetic[0], *synthetic]
        return _Seen(one.key, image, data, kind, texts, augmentations)

    def _image_rows(self, seen: Sequence[_Seen]) -> list[np.ndarray]:
        """Of each picture (augmentations, all teachers' numbers)."""
        count = self.recipe.augmentations
        parts = []
        for teacher in self._teachers:
            squares = (
                replay(each.image, one, teacher.side) for each in seen for one in each.augmentations
            )
            rows = []
            while some := list(islice(squares, 4 * self.recipe.batch)):
                rows.append(teacher.pictures(some))
            parts.append(np.concatenate(rows))
        whole = np.concatenate(parts, axis=1)
        return list(whole.reshape(len(seen), count, -1))

    def _text_rows(self, seen: Sequence[_Seen]) -> list[np.ndarray]:
        """Of each picture (1 + synthetic, all teachers' numbers)."""
        texts = [text for each in seen for text in each.texts]
        whole = np.concatenate([teacher.texts(texts) for teacher in self._teachers], axis=1)
        ends = np.cumsum([len(each.texts) for each in seen])[:-1]
        return np.split(whole, ends)


@dataclass(frozen=True)
class _Seen:
    """A picture that was opened: as it is stored, its texts and what the teachers will see."""

    key: str
    image: Image.Image
    data: bytes
    kind: str
    texts: list[str]
    augmentations: list[Augmentation]


def _stored(one: Given) -> tuple[Image.Image, bytes, str]:
    """The picture, and the file of it that the shard holds: its own where every reader sees in that
    what galago sees, else (turned by EXIF, with a profile, transparent) a PNG."""
    image = open_image(one.data, name=one.where)
    kind = _kind(one.data)
    if kind:
        try:
            if np.array_equal(np.asarray(plain(one.data, one.where)), np.asarray(image)):
                return image, one.data, kind
        except SampleError:
            pass
    stream = io.BytesIO()
    image.save(stream, "png")
    return image, stream.getvalue(), "png"


def _kind(data: bytes) -> str:
    """The extension of what everybody reads, by its first bytes."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "png" if data[:8] == b"\x89PNG\r\n\x1a\n" else ""
