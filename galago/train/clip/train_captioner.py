"""A captioner fine-tuned on captioned pictures, to a folder that `galago reinforce` opens."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from galago.disk import whole_folder
from galago.progress import Progress, Stage, silent
from galago.train.clip.captioned import (
    CaptionLesson,
    CaptionStream,
    CocaPupil,
    Heard,
    heard,
    read_captioned,
)
from galago.train.clip.coca import Coca, load_coca, same_coca, write_coca
from galago.train.clip.learn import Course, device, joined, learn
from galago.train.clip.options import ClipOptions
from galago.train.clip.reading import Reading, find_both, first_readable, tell_held_out
from galago.train.clip.train import CARD, fingerprint
from galago.train.tune.log import LOG
from galago.train.tune.work import Work, check_out, work_of

__all__ = ["CaptionerJob", "CaptionerTrained", "train_captioner"]

_BEFORE = "before.json"


@dataclass(frozen=True)
class CaptionerJob:
    """What is to be made: `captioner` as load_coca takes it, `shards` and `held_out` as find_shards
    does."""

    captioner: str
    shards: str
    out: Path
    options: ClipOptions
    held_out: str | None = None
    resume: bool = True
    keep: bool = False
    offline: bool = False


@dataclass(frozen=True)
class CaptionerTrained:
    """What was made; `before` and `after` are None where nothing was held out.

    strays: by how much the folder's logits differ from those that were trained.
    """

    folder: Path
    course: Course
    strays: float
    before: Heard | None
    after: Heard | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """In one level but for those of the held-out pictures."""
        return {
            "folder": str(self.folder),
            **dataclasses.asdict(self.course),
            "strays": self.strays,
            "held_out_before": dataclasses.asdict(self.before) if self.before else None,
            "held_out": dataclasses.asdict(self.after) if self.after else None,
            "seconds": self.seconds,
        }


def train_captioner(job: CaptionerJob, progress: Progress = silent) -> CaptionerTrained | None:
    """Fine-tune, or continue, and write the folder; None in all processes but the first.

    Raises OptionError, CheckpointError, StorageError, DivergedError, ModelError, SelfCheckError;
    KeyboardInterrupt behind a checkpoint.
    """
    check_out(job.out)
    work = Work(work_of(job.out))
    if os.environ.get("RANK", "0") != "0":
        return _Training(job, work, silent).run()
    with work.alone():
        training = _Training(job, work, progress)
        work.agree(f"captioner {job.captioner}", training.data, job.options, resume=job.resume)
        made = training.run()
    if not job.keep:
        work.discard()
    return made


class _Training:
    """One process's part."""

    def __init__(self, job: CaptionerJob, work: Work, progress: Progress) -> None:
        self.job, self.work, self.progress = job, work, progress
        self.shards, self.held = find_both(job.shards, job.held_out, offline=job.offline)
        first_readable(self.shards, read_captioned)
        if self.held:
            first_readable(self.held, read_captioned)  # else it would be known behind the training
        told = "\n".join(map(fingerprint, self.shards))
        self.data = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def run(self) -> CaptionerTrained | None:
        started, options = time.monotonic(), self.job.options
        with joined() as place:
            torch.manual_seed(options.seed)
            if place.world > 1:
                # all begin when the first has agreed on the work folder
                torch.distributed.barrier()
            coca = load_coca(self.job.captioner, offline=self.job.offline, seed=options.seed)
            coca.model.to(device())
            local = options.local_batch(place.world)
            reading = Reading(self.shards, local, options.seed, options.shuffle)
            before = self._before(coca) if self.held and not place.rank else None

            def streamed(step: int) -> CaptionStream:
                return CaptionStream(reading, coca, place, step, options.workers)

            pupil = CocaPupil(coca)
            course = learn(
                pupil, CaptionLesson(place), streamed, options, place, self.work.folder,
                self.progress,
            )  # fmt: skip
            if place.rank:
                return None
        strays = self._write(coca, course)
        after = self._heard(coca) if self.held else None
        seconds = time.monotonic() - started
        return CaptionerTrained(self.job.out, course, strays, before, after, seconds)

    def _before(self, coca: Coca) -> Heard:
        """What the captioner makes of the held-out pictures untrained, found once."""
        known = self.work.remembered(_BEFORE)
        if known.get("of") != self.job.held_out:
            known = {"of": self.job.held_out, **dataclasses.asdict(self._heard(coca))}
            self.work.remember(_BEFORE, known)
        return Heard(int(known["pictures"]), float(known["caption"]))

    def _heard(self, coca: Coca) -> Heard:
        notes: list[str] = []
        self.progress(Stage("judging by what is held out"), 0.0)
        found = heard(coca, self.held, notes)
        tell_held_out(notes, self.progress, 0.0)
        return found

    def _write(self, coca: Coca, course: Course) -> float:
        self.progress(Stage("writing and checking the folder"), 0.0)
        out = self.job.out
        if out.is_dir():
            out.rmdir()  # empty, as check_out saw
        with whole_folder(out) as folder:
            write_coca(coca, folder)
            strays = same_coca(coca, folder)
            shutil.copyfile(self.work.folder / LOG, folder / LOG)
            (folder / CARD).write_text(self._card(course, strays), "utf-8")
        return strays

    def _card(self, course: Course, strays: float) -> str:
        options = self.job.options
        return f"""# {self.job.out.name}

A captioner, fine-tuned by `galago train-clip --captioner` from {self.job.captioner}
with open_clip's CoCa loss (arXiv 2205.01917) on {len(self.shards)} shards of captioned pictures.
`galago reinforce --captioner` takes this folder. Its licence is that of the weights it began with
and of the data.

| | |
|---|---|
| steps, pictures a step | {course.steps}, {options.batch} |
| highest rate, weight decay | {options.rate:g}, {options.weight_decay:g} |
| loss of the last steps | {course.loss:.4f} |
| the folder's logits differ from those trained by | {strays:.1e} |

Each step stands in {LOG}.
"""
