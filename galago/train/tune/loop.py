"""The loop: transformers' Trainer, with checkpoints that hold what learns and are whole or nothing.

Not trl: its trainer is this one with a collator of transformers' own pictures and template, where
here pixels come from galago.media, labels from galago.text, and features from a store.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import save_fsdp_optimizer
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import SCHEDULER_NAME
from transformers.trainer_callback import PrinterCallback

from galago.disk import refusal
from galago.errors import OptionError, StorageError
from galago.progress import Progress, Stage
from galago.train.interrupts import Interrupts
from galago.train.tune.batches import Batches, collate
from galago.train.tune.errors import DivergedError
from galago.train.tune.learner import Learner
from galago.train.tune.log import Log
from galago.train.tune.options import TuneOptions
from galago.train.tune.shards import (
    LAYER,
    any_of_us,
    check_shards,
    gathered,
    in_shards,
    put,
    settle,
    shard,
)

__all__ = ["Course", "arguments", "last_whole", "teach"]

_LOGGED = ("loss", "grad_norm", "learning_rate")
LEARNT, WHOLE = "learnt.safetensors", "whole"
_JUDGED = 10  # times in a training that the held-out loss is computed, and a checkpoint kept
_KEPT_SECONDS = 300.0  # ... and at least as often


@dataclass(frozen=True)
class Course:
    """How a training went: `best` is the step whose weights were taken, of `steps` that were done;
    `before` and `after`: the held-out loss, None where nothing is held out."""

    steps: int
    best: int
    loss: float
    before: float | None
    after: float | None
    stopped_early: bool


def arguments(options: TuneOptions, work: Path, rows: int) -> TrainingArguments:
    """The Trainer's, for so many rows; joins the processes that torchrun or accelerate started."""
    common: dict[str, Any] = {
        "output_dir": str(work),
        "per_device_train_batch_size": options.batch,
        "per_device_eval_batch_size": options.batch,
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "learning_rate": options.highest_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "prediction_loss_only": True,
        "save_total_limit": 2,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "report_to": ["tensorboard"] if options.tensorboard else [],
        "disable_tqdm": True,
        "seed": options.seed,
        "bf16": options.precision == "bf16" or (options.precision == "auto" and _bf16_here()),
        "use_cpu": not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        "ddp_timeout": 86_400,  # the others wait while features are computed
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "log_level": "error",
    }
    if options.fsdp:
        common |= {"fsdp": True, "fsdp_config": dict(_FSDP)}
    if options.tensorboard:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(work / "tensorboard"))
    made = TrainingArguments(**common)
    if options.fsdp:
        check_shards(made.world_size)
    made.gradient_accumulation_steps = options.accumulated(made.world_size)
    every = max(1, _steps(made, rows) // _JUDGED)
    made.save_strategy, made.save_steps = "steps", every  # type: ignore[assignment]
    made.eval_steps = every
    return made


# Each process keeps its share of a checkpoint: nobody gathers the optimizer's numbers.
_FSDP = {
    "version": 2,
    "transformer_layer_cls_to_wrap": [LAYER],
    "state_dict_type": "SHARDED_STATE_DICT",
}


def _bf16_here() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def _steps(made: TrainingArguments, rows: int) -> int:
    if made.max_steps > 0:
        return made.max_steps
    batches = math.ceil(rows / (made.per_device_train_batch_size * made.world_size))
    return math.ceil(math.ceil(batches / made.gradient_accumulation_steps) * made.num_train_epochs)


def teach(
    learner: Learner,
    lessons: Batches,
    held: Batches | None,
    made: TrainingArguments,
    options: TuneOptions,
    progress: Progress,
) -> Course:
    """Train, from the last whole checkpoint in the arguments' folder if there is one, and leave the
    learner with the best weights.

    Raises DivergedError, StorageError; KeyboardInterrupt after a checkpoint.
    """
    work = Path(made.output_dir)
    before = last_whole(work)
    if held is not None:
        made.eval_strategy = "steps"  # type: ignore[assignment]
        # Not by trainer.evaluate(): the model would count as prepared, and several processes would
        # each learn alone.
        made.eval_on_start = before is None
    log = Log(work, options.patience if held is not None else 0)
    trainer = _Trainer(
        model=learner,
        args=made,
        train_dataset=lessons,
        eval_dataset=held,
        data_collator=collate,
        callbacks=[_Telling(progress)],
    )
    if trainer.is_deepspeed_enabled:
        raise OptionError("DeepSpeed isn't supported: --fsdp divides a model among devices")
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Keeping(log, trainer.learnt))
    if made.should_save:
        _clear(work, before)
    trainer.accelerator.wait_for_everyone()
    log.continue_at(0 if before is None else _step(before), made.should_save)
    with _Interrupts() as interrupts:
        trainer.add_callback(interrupts)
        trainer.train(resume_from_checkpoint=None if before is None else str(before))
        if interrupts.met:
            raise KeyboardInterrupt
    trainer.accelerator.wait_for_everyone()
    settle(learner)
    best = log.best()
    if best is not None and best != trainer.state.global_step:
        _restore(learner, load_file(log.best_file))
    done, planned = trainer.state.global_step, trainer.state.max_steps
    return Course(done, best or done, log.loss(), log.before(), log.after(), done < planned)


@contextlib.contextmanager
def _memory() -> Iterator[None]:
    """MemoryError for what torch raises when there is too little, on a CPU only words tell."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if "memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error


class _Trainer(Trainer):
    """Keeps what learns alone, stops at a loss that is no number, and tells a full disk."""

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        if self.args.fsdp_plugin_args is not None:
            shard(self.accelerator, self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        rows = inputs.pop("rows")
        with _memory():
            loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            wheres = [self.train_dataset.rows[int(row)].where for row in rows]
            raise DivergedError(self.state.global_step + 1, wheres)
        return loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], *rest: Any, **more: Any
    ) -> Any:
        inputs.pop("rows", None)
        with _memory():
            return super().prediction_step(model, inputs, *rest, **more)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        step = self.state.global_step
        learnt = self.learnt()
        if not all(bool(torch.isfinite(tensor).all()) for tensor in learnt.values()):
            raise DivergedError(step, [])
        del learnt
        folder = Path(self.args.output_dir, f"checkpoint-{step}")
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each has written its part
            if self.args.should_save:
                mark(folder)
        except Exception as error:
            if not _is_full(error):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            good = last_whole(Path(self.args.output_dir))
            left = f"step {_step(good)} is kept" if good else "no step is kept yet"
            raise StorageError(
                f"the disk is full: the checkpoint of step {step} doesn't fit "
                f"{self.args.output_dir} ({left}); make room and run the same command again"
            ) from error

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        folder = Path(output_dir or self.args.output_dir)
        learnt = self.learnt()
        if self.args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            save_file(learnt, folder / LEARNT)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            return super()._save_optimizer_and_scheduler(output_dir)
        # As the Trainer does, but for the model: what doesn't learn is with the base.
        plugin = self.accelerator.state.fsdp_plugin
        save_fsdp_optimizer(plugin, self.accelerator, self.optimizer, self.model, output_dir)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER_NAME))
        return None

    def learnt(self) -> dict[str, torch.Tensor]:
        """What learns, by the learner's names; of shards all processes must ask, the first gets."""
        learner = self.accelerator.unwrap_model(self.model)
        settle(learner)
        found = {}
        for name, tensor in learner.learnt().items():
            whole = gathered(tensor.detach())
            if self.args.should_save or not in_shards(learner):
                found[name] = whole.cpu().contiguous()
        return found

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        learner = self.accelerator.unwrap_model(model or self.model)
        _restore(learner, load_file(Path(resume_from_checkpoint, LEARNT)))


def _restore(learner: Learner, held: dict[str, torch.Tensor]) -> None:
    for name, parameter in learner.learnt().items():
        put(parameter, held[name])


def mark(folder: Path) -> None:
    """Say that a checkpoint is whole: everything in it is on the disk before the mark is."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    with (folder / WHOLE).open("wb") as file:
        os.fsync(file.fileno())


def last_whole(work: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [path.parent for path in work.glob(f"checkpoint-*/{WHOLE}")]
    return max(whole, key=_step, default=None)


def _clear(work: Path, last: Path | None) -> None:
    """Remove checkpoints that a killed process didn't finish: the Trainer would count them."""
    for path in work.glob("checkpoint-*"):
        if not (path / WHOLE).exists() or (last is not None and _step(path) > _step(last)):
            shutil.rmtree(path, ignore_errors=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return refusal(error) == "full"
    # torch and safetensors raise their own, of which only the words tell
    words = str(error)
    return "os error 28" in words or "No space left" in words or "PytorchStreamWriter" in words


class _Keeping(TrainerCallback):
    """Writes the log, keeps the best weights, ends a training that gets no better."""

    def __init__(self, log: Log, learnt: Callable[[], dict[str, torch.Tensor]]) -> None:
        self._log, self._learnt = log, learnt

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if state.is_world_process_zero and logs and "loss" in logs:
            self._log.add(state.global_step, {k: logs[k] for k in _LOGGED if k in logs})

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
        if not state.global_step:
            return self._log.begin(metrics["eval_loss"], args.should_save)
        better = self._log.judge(state.global_step, metrics["eval_loss"], args.should_save)
        learnt = self._learnt() if better else {}
        if better and args.should_save:
            part = self._log.best_file.with_suffix(".part")
            save_file(learnt, part)
            part.replace(self._log.best_file)
        if self._log.hopeless():
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if any_of_us(self._log.due(_KEPT_SECONDS), args.device):
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._log.saved()


class _Telling(TrainerCallback):
    """How far it is, to whoever listens."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._loss = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "eval_loss" in logs and state.is_world_process_zero and state.global_step:
            words = f"step {state.global_step} of {state.max_steps}: held-out loss"
            share = state.global_step / max(1, state.max_steps)
            self._progress(Stage(f"{words} {logs['eval_loss']:.3f}", lasting=True), share)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            share = state.global_step / max(1, state.max_steps)
            self._progress(Stage("training"), min(share, 0.999))


class _Interrupts(Interrupts, TrainerCallback):
    """Told to the trainer, by whichever of the processes met it."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.met = any_of_us(self.met, args.device)
        if self.met:
            control.should_save = control.should_training_stop = True
