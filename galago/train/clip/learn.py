"""The loop: AdamW, a cosine, rows gathered over processes, checkpoints that are whole or none."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader

from galago.disk import discard_folder, whole_folder
from galago.errors import GalagoError, ModelError, OptionError
from galago.progress import Progress, Stage
from galago.train.clip.options import MOST_SCALE, ClipOptions
from galago.train.clip.reading import Place, ShardStream
from galago.train.clip.workers import lacks_memory
from galago.train.interrupts import Interrupts
from galago.train.tune.errors import DivergedError
from galago.train.tune.log import Log

__all__ = ["Course", "Here", "Lesson", "Pupil", "device", "joined", "learn"]

_STATE = "state.pt"
_KEPT_SECONDS = 300.0  # between checkpoints
_KEPT = 2
_MOST_NOTES = 100  # different ones, of each process


Here = Callable[[torch.Tensor], torch.Tensor]
"""Brings a tensor to where the model is."""


class Pupil(nn.Module):
    """What is trained; `logit_scale`: the logarithm of its cosines' scale."""

    logit_scale: nn.Parameter

    @abstractmethod
    def lighten(self) -> None:
        """Compute activations twice instead of holding them."""


class Lesson(Protocol):
    """What is learnt of a batch."""

    def inputs(self, batch: Any) -> tuple[torch.Tensor, ...]:
        """What the model is called with."""

    def losses(self, said: Any, batch: Any, here: Here) -> dict[str, torch.Tensor]:
        """Scalars of this process's part, of what the model said: `loss`, which is to fall, and
        what it is made of."""


@dataclass(frozen=True)
class Course:
    """How a training went: `loss` the mean of its last tenth, `scale` of the student's cosines."""

    steps: int
    loss: float
    scale: float


@contextlib.contextmanager
def joined() -> Iterator[Place]:
    """The processes that torchrun started, or this one alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Place()
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # Longer than the first one judges what was there before, while the others wait for it.
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(days=1))
    try:
        yield Place(dist.get_rank(), world)
    finally:
        dist.destroy_process_group()


def learn(
    pupil: Pupil,
    lesson: Lesson,
    streamed: Callable[[int], ShardStream],
    options: ClipOptions,
    place: Place,
    work: Path,
    progress: Progress,
) -> Course:
    """Train to the end, from the last checkpoint in `work` if there is one; `streamed` gives the
    batches from a step on.

    Raises DivergedError, ModelError for too little memory, OptionError for shards that don't fit;
    KeyboardInterrupt behind a checkpoint.
    """
    run = _Run(pupil, lesson, options, place, work)
    run.resume()
    stream = streamed(run.step)
    loader = DataLoader(
        stream, batch_size=None, num_workers=options.workers, worker_init_fn=_hear_no_interrupt,
        multiprocessing_context="spawn" if options.workers and stream.threaded else None,
    )  # fmt: skip
    notes = _Notes(progress)
    with Interrupts() as interrupts, _memory(options.batch):
        batches = iter(loader) if run.step < options.steps else iter(())
        while run.step < options.steps:
            batch = run.given(batches)
            new = notes.told(batch.notes, run.step / options.steps)
            run.take(batch)
            progress(Stage("training"), min(run.step / options.steps, 0.999))
            met, due, others = run.agreed(interrupts.met, run.due(), bool(new and place.rank))
            if others:
                notes.told(run.of_all(new), run.step / options.steps)
            if met:
                run.keep()
                raise KeyboardInterrupt
            if due:
                run.keep()
    run.keep()
    return run.course()


def _hear_no_interrupt(_: int) -> None:
    """Ctrl-C reaches loading processes too, and the last step still needs them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Notes:
    """What is to be said about the reading, each once: only the first process's is heard, so that
    it says what the others have met too."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._known = progress, set[str]()

    def told(self, notes: Sequence[str], done: float) -> list[str]:
        """Say those that are new, and return them."""
        new = [note for note in dict.fromkeys(notes) if note not in self._known]
        room = _MOST_NOTES - len(self._known)
        if new and len(new) >= room:
            new = [*new[: room - 1], "what else is left out isn't told any more"] if room else []
        for note in new:
            self._known.add(note)
            self._progress(Stage(note, lasting=True), done)
        return new


class _Run:
    """One process's part of a training."""

    def __init__(
        self, pupil: Pupil, lesson: Lesson, options: ClipOptions, place: Place, work: Path
    ) -> None:
        self.pupil, self.options, self._place, self._work = pupil, options, place, work
        self._lesson = lesson
        self.device = device()
        pupil.to(self.device).train()
        if options.checkpointing:
            pupil.lighten()
        self._model: nn.Module = pupil
        if place.world > 1:
            self._model = nn.parallel.DistributedDataParallel(pupil)
        self._optimizer = torch.optim.AdamW(
            _groups(pupil, options), lr=options.rate, betas=(0.9, 0.95)
        )
        self.step = 0
        self._log = Log(work, 0)
        self._saved = time.monotonic()
        self._losses: list[float] = []

    @property
    def _first(self) -> bool:
        return self._place.rank == 0

    def given(self, batches: Iterator[Any]) -> Any:
        """The next batch; where there is none, as of a bucket that doesn't answer, what is learnt
        is kept."""
        try:
            batch = next(batches)
            if isinstance(batch, GalagoError):
                raise batch
        except GalagoError:
            if self._place.world == 1 and self.step:  # others would be waited for
                self.keep()
            raise
        return batch

    def take(self, batch: Any) -> None:
        """One step."""
        rate = self.options.rate_at(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        if self.options.settled:
            _settle(self.pupil)
        losses = self._forward(batch)
        if not torch.isfinite(losses["loss"]):
            raise DivergedError(self.step + 1, [])
        self._optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(self.pupil.parameters(), self.options.clip_norm)
        self._optimizer.step()
        with torch.no_grad():
            self.pupil.logit_scale.clamp_(0, MOST_SCALE)
        self.step += 1
        self._note(losses, rate)

    def _here(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, non_blocking=True)

    def _forward(self, batch: Any) -> dict[str, torch.Tensor]:
        with _autocast(self.device, self.options.precision):
            said = self._model(*map(self._here, self._lesson.inputs(batch)))
        return self._lesson.losses(said, batch, self._here)

    def _note(self, losses: dict[str, torch.Tensor], rate: float) -> None:
        parts = torch.stack([loss.detach() for loss in losses.values()])
        if self._place.world > 1:
            dist.all_reduce(parts)
            parts /= self._place.world
        figures = dict(zip(losses, parts.tolist(), strict=True))
        self._losses.append(figures["loss"])
        if self._first:
            self._log.add(self.step, figures | {"learning_rate": rate})

    def agreed(self, *flags: bool) -> list[bool]:
        """Of each whether any of the processes says so: what all do is decided together."""
        if self._place.world == 1:
            return list(flags)
        told = torch.tensor([float(flag) for flag in flags], device=self.device)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return [bool(flag) for flag in told.tolist()]

    def of_all(self, notes: list[str]) -> list[str]:
        """Those of all processes, which all have to ask."""
        held: list[Any] = [None] * self._place.world
        dist.all_gather_object(held, notes)
        return [note for each in held for note in each]

    def due(self) -> bool:
        return time.monotonic() - self._saved > _KEPT_SECONDS

    def keep(self) -> None:
        """A checkpoint, whole or none; batch norms' figures are the first process's."""
        self._saved = time.monotonic()
        if self._first:
            with whole_folder(self._work / f"checkpoint-{self.step}") as folder:
                state = {
                    "student": self.pupil.state_dict(),
                    "optimizer": self._optimizer.state_dict(),
                }
                with (folder / _STATE).open("wb") as file:
                    torch.save(state, file)
                    file.flush()
                    os.fsync(file.fileno())
            for old in _checkpoints(self._work)[:-_KEPT]:
                discard_folder(old)
        if self._place.world > 1:
            dist.barrier()

    def resume(self) -> None:
        """From the last checkpoint, if there is one; OptionError where processes hold others."""
        found = _checkpoints(self._work)
        self._check_same(_step(found[-1]) if found else 0)
        if found:
            path = found[-1] / _STATE
            state = torch.load(path, weights_only=True, map_location=self.device)
            self.pupil.load_state_dict(state["student"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step = _step(found[-1])
        self._log.continue_at(self.step, self._first)

    def _check_same(self, step: int) -> None:
        if self._place.world == 1:
            return
        ends = torch.tensor([float(step), float(-step)], device=self.device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        last, first = int(ends[0]), -int(ends[1])
        if first != last:
            raise OptionError(
                f"processes hold checkpoints of step {first} and of {last}: OUT has to lie in a "
                "folder that all machines share"
            )

    def course(self) -> Course:
        last = self._losses[-max(1, len(self._losses) // 10) :]
        loss = sum(last) / len(last) if last else self._log.loss()
        return Course(self.step, loss, float(self.pupil.logit_scale.detach().exp()))


def _settle(model: nn.Module) -> None:
    """Batch norms use what they have learned: few pictures' figures are noise."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _groups(pupil: Pupil, options: ClipOptions) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels alone, as open_clip has it."""
    parameters = list(pupil.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def device() -> torch.device:
    """Where this process trains."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _autocast(device: torch.device, precision: str) -> Any:
    """Products in bfloat16 where the processor has instructions for it: others take a hundred times
    as long for it (galago/train/nano/arithmetic.py)."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    wanted = precision == "bf16" or (precision == "auto" and native)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def _checkpoints(work: Path) -> list[Path]:
    return sorted(work.glob("checkpoint-*"), key=_step)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


@contextlib.contextmanager
def _memory(batch: int) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise ModelError(
            f"not enough memory to train: lower --batch (it is {batch}) or start more processes, "
            "or add --checkpointing"
        ) from error
