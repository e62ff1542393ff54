"""Fine-tuning from a model and rows to a folder: looked, taught, written, checked, measured."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.convert.selfcheck import SelfCheck
from galago.disk import whole_folder
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress, Stage, silent
from galago.rows.rows import Photo, Rows
from galago.train.tune.answers import Answers, Figure, Score, ask_all, some
from galago.train.tune.base import labeller_of, opened
from galago.train.tune.card import Facts, card
from galago.train.tune.curve import draw
from galago.train.tune.errors import FullMemoryError
from galago.train.tune.log import LOG, read_log
from galago.train.tune.options import TuneOptions
from galago.train.tune.own_tasks import OwnTasks
from galago.train.tune.work import Work, check_out, fingerprint, work_of
from galago.vlm.fastvlm import FastVLM

__all__ = ["Job", "Tuned", "finetune"]

CARD = "README.md"


@dataclass(frozen=True)
class Job:
    """What is to be made: of which model, out of which rows, where.

    `data` is what the card calls them; `dropped`: lines for the card about rows that were left out.
    `own_shards`: where held-out pictures of what galago's own models were taught are.
    `resume` continues a stopped training; `keep` leaves the work folder there at the end.
    `digest` tells whether the rows are those of before, where they were looked at already.
    """

    model: ResolvedModel
    train: Rows
    held: Rows
    out: Path
    options: TuneOptions
    data: str
    dropped: Sequence[str] = ()
    own_shards: str | None = None
    resume: bool = True
    keep: bool = False
    digest: str = ""


@dataclass(frozen=True)
class Tuned:
    """What was made; `before` and `after` are the scores of held-out answers, if any were asked,
    `own_before` and `own_after` what one of galago's own models remembers of its own tasks."""

    folder: Path
    steps: int
    best: int
    loss: float
    held_out_before: float | None
    held_out_after: float | None
    before: Score | None
    after: Score | None
    own_before: tuple[Figure, ...]
    own_after: tuple[Figure, ...]
    check: SelfCheck
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The figures in one level but for the scores."""
        found = dataclasses.asdict(self)
        del found["check"]
        return found | {"folder": str(self.folder), "self_check": self.check.sentence()}


def finetune(job: Job, progress: Progress = silent) -> Tuned | None:
    """Train, or continue, and write the folder; None in all processes but the first.

    Raises OptionError, RowError, ImageError, CheckpointError, StorageError, DivergedError,
    FullMemoryError, SelfCheckError; KeyboardInterrupt behind a checkpoint.
    """
    check_out(job.out)
    work = Work(work_of(job.out))
    first = int(os.environ.get("RANK", "0")) == 0
    if not first:
        _tune(job, work, silent)
        return None
    with work.alone():
        model = f"{job.model.name} {job.model.digest}"
        data = job.digest or f"{fingerprint(job.train)} {fingerprint(job.held)}"
        work.agree(model, data, job.options, resume=job.resume)
        made = _tune(job, work, progress)
    if not job.keep:
        work.discard()
    return made


def _tune(job: Job, work: Work, progress: Progress) -> Tuned | None:
    _stay_here()
    with _memory(job.options.batch):
        return _Run(job, work, progress).whole()


def _stay_here() -> None:
    """The libraries below ask no hub for anything and report nothing."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import warnings

    import transformers

    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", module=r"(torch|transformers|accelerate|peft)\b")


@contextlib.contextmanager
def _memory(batch: int) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise FullMemoryError(batch, "to train") from error


class _Run:
    """One process's part of a training."""

    def __init__(self, job: Job, work: Work, progress: Progress) -> None:
        from galago.train.tune.loop import arguments

        self.job, self.work, self.progress = job, work, progress
        self.options = job.options
        self.source = opened(job.model)
        self.image = self.options.seen(self.source.spec.image)
        self.labeller = labeller_of(self.source, self.options)
        self.made = arguments(self.options, work.folder, len(job.train))
        self.first = self.made.process_index == 0

    def whole(self) -> Tuned | None:
        from transformers import set_seed

        from galago.train.tune.batches import Batches
        from galago.train.tune.learner import Learner
        from galago.train.tune.loop import teach

        started = time.monotonic()
        own = self._own() if self.first else None
        look = self._look()
        before = self._before(own) if self.first else Answers()
        self._together()
        self.progress(Stage("loading the model into PyTorch"), 0.0)
        set_seed(self.options.seed)  # LoRA begins with drawn numbers
        learner = Learner(self.source, self.options)
        if self.made.bf16:
            learner.narrow()
        counts = learner.counts()
        lessons = Batches(self.job.train, self.labeller, look)
        held = Batches(self.job.held, self.labeller, look) if len(self.job.held) else None
        course = teach(learner, lessons, held, self.made, self.options, self.progress)
        if not self.first:
            self._follow(learner)
            return None

        def told(check: SelfCheck, before: Answers, after: Answers) -> Facts:
            seconds = time.monotonic() - started
            return self._facts(course, counts, before, after, check, seconds)

        # Asking takes a while: stopped there, the folder has a card all the same.
        check = self._write(learner, lambda check: card(told(check, Answers(), Answers())))
        after = self._answers(str(self.job.out), own, "after")
        facts = told(check, before, after)
        (self.job.out / CARD).write_text(card(facts), "utf-8")
        return Tuned(
            self.job.out, course.steps, course.best, course.loss, course.before, course.after,
            before.held_out, after.held_out, before.own, after.own, check, facts.seconds,
        )  # fmt: skip

    def _together(self) -> None:
        from accelerate.state import PartialState

        PartialState().wait_for_everyone()

    def _look(self) -> Callable[[Photo], Any]:
        """How pictures come to the learner; features are computed first, by all processes."""
        from galago.train.tune.batches import pixels_of

        if not self.options.keeps_features:
            return pixels_of(self.image)
        from galago.train.tune.features import FeatureStore, TrunkSession

        store = FeatureStore(self.work.features, self.image)
        photos = self._photos()[self.made.process_index :: self.made.world_size]

        def told(done: int) -> None:
            self.progress(Stage("looking at pictures once"), done / len(photos))

        store.fill(photos, lambda: TrunkSession(self.source), told, str(self.made.process_index))
        self._together()
        store.reload()
        return store.read

    def _photos(self) -> list[Photo]:
        found: dict[Photo, None] = {}
        for rows in (self.job.train, self.job.held):
            for at in range(len(rows)):
                found |= dict.fromkeys(rows[at].pictures)
        return list(found)

    def _own(self) -> OwnTasks | None:
        """Found before the training, so that what can't be read isn't told behind it."""
        if not self.options.measured:
            return None
        return OwnTasks.of(self.source.folder, self.job.own_shards)

    def _before(self, own: OwnTasks | None) -> Answers:
        # Both may change when a training is continued; then it is asked again.
        asked = {"measured": self.options.measured, "own_shards": self.job.own_shards}
        known = self.work.remembered("before.json")
        if known.get("asked") == asked:
            return Answers.from_json(known)
        found = self._answers(self.job.model, own, "before")
        self.work.remember("before.json", {"asked": asked, **found.to_json()})
        return found

    def _answers(self, model: str | ResolvedModel, own: OwnTasks | None, when: str) -> Answers:
        rows = some(self.job.held, self.options.measured)
        if not rows and own is None:
            return Answers()
        name = model if isinstance(model, str) else _name_of(model)
        vlm = FastVLM.load(name, resolution=self.image.side, offline=True, progress=self.progress)
        words = f"asking held-out questions {when}"
        score = ask_all(vlm, rows, words, self.progress) if rows else None
        words = f"asking what it knew {when}"
        return Answers(score, own.ask(vlm, words, self.progress) if own else ())

    def _write(self, learner: Any, unasked: Callable[[SelfCheck], str]) -> SelfCheck:
        """The folder, whole; `unasked` is its card before anything was asked of it."""
        from galago.train.tune.proof import prove

        self.progress(Stage("writing and checking the folder"), 0.0)
        out = self.job.out
        if out.is_dir():
            out.rmdir()  # empty, as check_out saw
        with whole_folder(out) as folder:
            self._write_model(learner, folder)
            check = prove(folder, learner, self.source)
            draw(read_log(self.work.folder), folder / "training.png")
            shutil.copyfile(self.work.folder / LOG, folder / LOG)
            (folder / CARD).write_text(unasked(check), "utf-8")
        self.progress(Stage(check.sentence(), lasting=True), 1.0)
        return check

    def _write_model(self, learner: Any, folder: Path) -> None:
        from galago.train.tune.adapter import write_adapter
        from galago.train.tune.changed import changed, matrices, whole_parts
        from galago.train.tune.learner import lora_config
        from galago.train.tune.publish import write_merged

        job, name, side = self.job, self.job.out.name, self.image.side
        if not self.options.adapter:
            return write_merged(self.source, changed(learner), folder, name, side)
        config = lora_config(self.options.rank).to_dict()
        found = matrices(learner), whole_parts(learner)
        return write_adapter(self.source, job.model, config, *found, folder, name, side)

    def _follow(self, learner: Any) -> None:
        """What the other processes do while the first one writes: gather with it, if in shards."""
        from galago.train.tune import adapter, changed, proof, publish, shards

        if not shards.in_shards(learner):
            return
        if self.options.adapter:
            found = changed.matrices(learner), changed.whole_parts(learner)
            adapter.follow(self.source, *found)
        else:
            publish.follow(self.source, changed.changed(learner))
        proof.help_prove(learner)

    def _facts(
        self, course: Any, counts: tuple[int, int], before: Answers, after: Answers,
        check: SelfCheck, seconds: float,
    ) -> Facts:  # fmt: skip
        job, row = self.job, self.job.model.row
        return Facts(
            name=job.out.name, base=job.model.name,
            licence=row.licence.line if row else "that of the model it is made of",
            data=job.data, train=len(job.train), held=len(job.held),
            pictures=len(self._photos()), learns=counts[0], numbers=counts[1],
            side=self.image.side, options=self.options, course=course,
            devices=self.made.world_size, seconds=seconds, check=check, before=before, after=after,
            dropped=job.dropped,
        )  # fmt: skip


def _name_of(model: ResolvedModel) -> str:
    return model.name if model.row or model.remote else str(model.folder)
