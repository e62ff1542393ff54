"""A student from reinforced shards to a folder: learnt, written, checked, judged."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from galago.disk import whole_folder
from galago.errors import OptionError
from galago.progress import Progress, Stage, silent
from galago.train.clip.contents import contents_of
from galago.train.clip.judge import Judgement, judge
from galago.train.clip.learn import Course, Here, joined, learn
from galago.train.clip.loss import Teaching, dr_loss
from galago.train.clip.options import ClipOptions
from galago.train.clip.publish import Proof, prove, write_student
from galago.train.clip.reading import Place, find_both, tell_held_out
from galago.train.clip.recipe import read_captions, read_teachers
from galago.train.clip.shards import Sample
from galago.train.clip.shelf import Shelf, in_bucket, shelf_of
from galago.train.clip.stream import Batch, Lessons, Stream, first_sample
from galago.train.clip.students import Student, new_student, published_student, start_nano
from galago.train.tune.log import LOG
from galago.train.tune.work import Work, check_out, work_of

__all__ = ["CARD", "ClipJob", "ClipTrained", "fingerprint", "train_clip"]

CARD = "README.md"
_SETTLING = 64  # pictures that settle the norms of a start of galago's own shape


@dataclass(frozen=True)
class ClipJob:
    """What is to be made.

    student: an architecture or a TOML file for new weights, None for those of `start`; start: a
    published folder.  shards: a folder or a name with braces; held_out: others, that judge alone.
    offline: they have to be here.  dims, scales: of the teachers, where they aren't what stands
    beside the shards.
    """

    shards: str
    out: Path
    options: ClipOptions
    student: str | None = None
    start: Path | None = None
    held_out: str | None = None
    dims: tuple[int, ...] | None = None
    scales: tuple[float, ...] | None = None
    resume: bool = True
    keep: bool = False
    offline: bool = False


@dataclass(frozen=True)
class ClipTrained:
    """What was made; `judged` is None where nothing was held out."""

    folder: Path
    course: Course
    proof: Proof
    judged: Judgement | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The figures in one level but for those of the held-out pictures."""
        return {
            "folder": str(self.folder),
            **dataclasses.asdict(self.course),
            "image_cosine": self.proof[0],
            "text_cosine": self.proof[1],
            "held_out": dataclasses.asdict(self.judged) if self.judged else None,
            "seconds": self.seconds,
        }


def train_clip(job: ClipJob, progress: Progress = silent) -> ClipTrained | None:
    """Train, or continue, and write the folder; None in all processes but the first.

    Raises OptionError, CheckpointError, StorageError, DivergedError, ModelError, SelfCheckError;
    KeyboardInterrupt behind a checkpoint.
    """
    check_out(job.out)
    work = Work(work_of(job.out))
    if os.environ.get("RANK", "0") != "0":
        return _Training(job, work, silent).run()
    with work.alone():
        training = _Training(job, work, progress)
        work.agree(training.model, training.data, job.options, resume=job.resume)
        made = training.run()
    if not job.keep:
        work.discard()
    return made


class _Training:
    """One process's part."""

    def __init__(self, job: ClipJob, work: Work, progress: Progress) -> None:
        self.job, self.work, self.progress = job, work, progress
        self.shards, self.held = find_both(job.shards, job.held_out, offline=job.offline)
        first = first_sample(self.shards)
        if self.held:
            first_sample(self.held)  # else it would be known behind the training
        self.teaching = teaching(job, first.image_rows.shape[1])
        self.two = _captioned(job, first)
        own = [job.student] if job.student and job.student.endswith(".toml") else []
        self.model = " ".join([str(job.student), str(job.start), *contents_of(own).values()])
        told = [*map(fingerprint, self.shards), str(self.teaching)]
        self.data = hashlib.blake2b("\n".join(told).encode(), digest_size=16).hexdigest()

    def run(self) -> ClipTrained | None:
        started = time.monotonic()
        with joined() as place:
            torch.manual_seed(self.job.options.seed)
            if place.world > 1:
                # all begin when the first has agreed on the work folder
                torch.distributed.barrier()
            lessons = self._lessons(place, self._student)
            student = self._begun(lessons)
            options = self.job.options

            def streamed(step: int) -> Stream:
                return Stream(lessons, place, step, options.workers)

            course = learn(
                student, _Reinforced(self.teaching), streamed, options, place, self.work.folder,
                self.progress,
            )  # fmt: skip
            if place.rank:
                return None
        proof = self._write(student, course)
        judged = self._judged() if self.held else None
        seconds = time.monotonic() - started
        return ClipTrained(self.job.out, course, proof, judged, seconds)

    def _judged(self) -> Judgement | None:
        notes: list[str] = []
        judged = judge(self.job.out, self.held, notes)
        tell_held_out(notes, self.progress, 1.0)
        return judged

    def _student(self) -> Student:
        if self.job.student is not None:
            return new_student(self.job.student)
        if self.job.start is None:
            raise OptionError("--student is missing, or --start with published weights")
        return published_student(self.job.start)

    def _lessons(self, place: Place, build: Callable[[], Student]) -> Lessons:
        self.built = build()
        options = self.job.options
        local = options.local_batch(place.world)
        return Lessons(
            self.shards, local, options.seed, options.shuffle, self.teaching.dims, self.two,
            self.built.spec,
        )  # fmt: skip

    def _begun(self, lessons: Lessons) -> Student:
        """The student, with the weights of `start` where it is of galago's own shape."""
        if self.job.student is not None and self.job.start is not None:
            settling = dataclasses.replace(lessons, batch=_SETTLING)
            batch = next(iter(Stream(settling, Place(), 0, 0)))
            assert isinstance(batch, Batch)  # outside of loading processes
            start_nano(self.built, self.job.start, batch.pixels)
        return self.built

    def _write(self, student: Student, course: Course) -> Proof:
        self.progress(Stage("writing and checking the folder"), 0.0)
        out = self.job.out
        if out.is_dir():
            out.rmdir()  # empty, as check_out saw
        with whole_folder(out) as folder:
            # It is called as it will be: so are models that don't say their name.
            named = folder / out.name
            write_student(student, named, out.name)
            proof = prove(student, named)
            for path in named.iterdir():
                path.rename(folder / path.name)
            named.rmdir()
            shutil.copyfile(self.work.folder / LOG, folder / LOG)
            (folder / CARD).write_text(self._card(course, proof), "utf-8")
        self.progress(Stage(proof.sentence(), lasting=True), 1.0)
        return proof

    def _card(self, course: Course, proof: Proof) -> str:
        options, teaching = self.job.options, self.teaching
        begun = self.job.start.name if self.job.start else "new weights"
        teachers = ", ".join(
            f"{row.name} ({row.dim} numbers)" for row in read_teachers(_beside(self.job))
        )
        scales = ", ".join(f"{scale:g}" for scale in teaching.scales)
        return f"""# {self.job.out.name}

Trained by `galago train-clip` from {begun}{f" as {self.job.student}" if self.job.student else ""},
with {len(self.shards)} reinforced shards: multi-modal reinforced training, arXiv 2311.17049 and
2508.20691. Its licence is that of the weights it began with, of the teachers and of the data.

| | |
|---|---|
| teachers | {teachers or "unknown"}, scales {scales} |
| captions | {"the picture's and a synthetic one" if self.two else "the picture's"} |
| lambda | {teaching.weight:g} |
| steps, pictures a step | {course.steps}, {options.batch} |
| highest rate, weight decay | {options.rate:g}, {options.weight_decay:g} |
| loss of the last steps | {course.loss:.4f} |
| {proof.sentence().replace(": ", " | ", 1)} |

Each step stands in {LOG}.
"""


@dataclass(frozen=True)
class _Reinforced:
    """The lesson of reinforced shards."""

    teaching: Teaching

    def inputs(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        return batch.pixels, torch.cat(batch.texts)

    def losses(self, said: Any, batch: Batch, here: Here) -> dict[str, torch.Tensor]:
        images, texts, scale = said
        told = [here(rows) for rows in batch.text_rows]
        apart = texts.chunk(len(batch.texts))
        found = dr_loss(images, apart, scale, here(batch.image_rows), told, self.teaching)
        return {"loss": found.total, "clip": found.clip, "distill": found.distill}


def teaching(job: ClipJob, width: int) -> Teaching:
    """How the teachers count, as told or as it stands beside the shards, whose rows have `width`
    numbers.  OptionError where neither says it."""
    rows = read_teachers(_beside(job))
    dims = job.dims or tuple(row.dim for row in rows)
    scales = job.scales or tuple(row.scale for row in rows)
    if not dims or not scales:
        raise OptionError(
            "nothing beside the shards says which teachers they are of: give --dims and --scales, "
            "as 768,768 and 70,60 of DFNDR, or 768,768 and 100,100 of DataCompDR"
        )
    if len(dims) != len(scales):
        raise OptionError(f"{len(dims)} teachers and {len(scales)} scales: give as many")
    if sum(dims) != width:
        told = " + ".join(map(str, dims))
        raise OptionError(f"the shards' rows have {width} numbers, and the teachers {told}")
    return Teaching(dims, scales, job.options.weight)


def _beside(job: ClipJob) -> Shelf:
    """Where the plan of the shards would be; of names with braces there is none."""
    place = job.shards if in_bucket(job.shards) else os.path.abspath(os.path.expanduser(job.shards))
    return shelf_of(place)


def _captioned(job: ClipJob, first: Sample) -> bool:
    """Whether synthetic captions are learnt: as the plan says, since one sample may have none."""
    told = read_captions(_beside(job))
    return len(first.text_rows) > 1 if told is None else told > 0


def fingerprint(shard: str) -> str:
    """A shard's name, and its size where it lies here."""
    size = os.path.getsize(shard) if os.path.isfile(shard) else ""
    return f"{os.path.basename(shard)} {size}"
