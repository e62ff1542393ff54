"""The loop: batches by (seed, step), AdamW, a trapezoid schedule, checkpoints that continue.

Each core is a process of its own with a share of the batch, and gradients are averaged once a step:
threads that meet after every operation lose more time than that, above all on a busy machine.

A stage writes OUT/<stage>.pt (weights, optimiser, step) every SAVE_EVERY steps, and its losses to
OUT/<stage>.jsonl (log.py). Starting the same command again goes on from there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, Dataset

from galago.train.nano.arithmetic import autocast
from galago.train.nano.config import StageConfig
from galago.train.nano.log import Report, log_of

console = Console(stderr=True)
SAVE_EVERY = 200  # steps
CLIP_NORM = 5.0


@dataclass(frozen=True)
class Stage:
    """What the loop needs to know of a stage: its batches and its losses."""

    config: StageConfig
    model: nn.Module
    make_batch: Callable[[random.Random, int], list[Any]]  # one entry per forward pass
    losses: Callable[[Any], dict[str, torch.Tensor]]
    total: Callable[[dict[str, torch.Tensor]], torch.Tensor]
    evaluate: Callable[[int], dict[str, float]]
    evaluate_every: int = 500


class Batches(Dataset[list[Any]]):
    """A process's batch of a step is a function of the seed, the stage and the step alone."""

    def __init__(self, stage: Stage, seed: int, first: int) -> None:
        self.make, self.seed, self.name = stage.make_batch, seed, stage.config.name
        self.first, self.steps = first, stage.config.steps

    def __len__(self) -> int:
        return max(0, self.steps - self.first)

    def __getitem__(self, index: int) -> list[Any]:
        step = self.first + index
        return self.make(random.Random(f"{self.seed}-{self.name}-{step}-{rank()}"), step)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def average(tensors: list[torch.Tensor]) -> None:
    """Replace each float tensor by its mean over the processes, in one message."""
    if processes() == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    flat /= processes()
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def learning_rate(config: StageConfig, step: int) -> float:
    """Linear warm-up, a plateau, and a linear fall over the last `decay` of the steps."""
    fall = max(1, int(config.steps * config.decay))
    return config.lr * min(1.0, (step + 1) / config.warmup, (config.steps - step) / fall)


def run_stage(stage: Stage, seed: int, out: Path, before: Path | None = None) -> None:
    """Train to the end of the stage; returns at once when its checkpoint says it is done.

    A fresh stage starts from the weights that the stage `before` left.
    """
    torch.manual_seed(seed)
    parameters = _groups(stage)
    optimiser = torch.optim.AdamW(parameters, lr=stage.config.lr, betas=(0.9, 0.98), fused=True)
    path = out / f"{stage.config.name}.pt"
    first = _resume(path, stage.model, optimiser)
    if first == 0 and before is not None:
        held = torch.load(before, weights_only=True, map_location="cpu")["model"]
        stage.model.load_state_dict(held, strict=False)
    if first >= stage.config.steps:
        return
    console.print(f"stage {stage.config.name}: step {first} of {stage.config.steps}")
    loader = DataLoader(
        Batches(stage, seed, first),
        batch_size=None,
        shuffle=False,
        num_workers=1,
        prefetch_factor=4,
        multiprocessing_context="fork",
    )
    report = Report(log_of(stage.config, out))
    step = first
    try:
        for step, parts in enumerate(loader, first):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(stage.config, step) * group["share"]
            losses = _step(stage, parts, optimiser)
            _report(stage, step, losses, report)
            if (step + 1) % SAVE_EVERY == 0:
                _save(path, stage.model, optimiser, step + 1)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command continues from step {step - step % SAVE_EVERY}")
        raise
    _save(path, stage.model, optimiser, stage.config.steps)


def _groups(stage: Stage) -> list[dict[str, Any]]:
    """Weight decay for matrices only, and each part's own share of the learning rate."""
    shares = {"trunk": stage.config.trunk_lr, "heads": stage.config.heads_lr}
    groups: dict[tuple[bool, str], list[nn.Parameter]] = {}
    still = standing_still(stage.config)
    for name, parameter in stage.model.named_parameters():
        learns = name.split(".")[0] in stage.config.trains and not name.startswith(still)
        parameter.requires_grad_(learns)
        if learns:
            key = (parameter.ndim > 1, name.split(".")[0])
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": held,
            "weight_decay": stage.config.weight_decay if decays else 0.0,
            "share": shares.get(part, 1.0),
        }
        for (decays, part), held in groups.items()
    ]


def standing_still(config: StageConfig) -> tuple[str, ...]:
    """Beginnings of the names of what of the trunk stands still: all, its first stages, nothing."""
    if "trunk" not in config.trains:
        return ("trunk.",)
    if not config.frozen:
        return ()
    return ("trunk.stem.", *(f"trunk.stages.{index}." for index in range(config.frozen)))


def _hold_still(stage: Stage) -> None:
    """Norms of what stands still, or all, use what they have learned, not the batch."""
    still = standing_still(stage.config)
    for name, module in stage.model.named_modules():
        settled = stage.config.settled and isinstance(module, nn.BatchNorm2d)
        if settled or f"{name}.".startswith(still):
            module.eval()


def _step(stage: Stage, parts: list[Any], optimiser: torch.optim.Optimizer) -> dict[str, float]:
    seen: dict[str, float] = {}
    _hold_still(stage)
    for part in parts:
        with autocast():
            losses = stage.losses(part)
        stage.total(losses).backward()  # type: ignore[no-untyped-call]
        seen.update({k: float(v.detach()) for k, v in losses.items()})
    learning = [p for group in optimiser.param_groups for p in group["params"]]
    average([p.grad for p in learning if p.grad is not None])
    nn.utils.clip_grad_norm_(learning, CLIP_NORM)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return seen


def _report(stage: Stage, step: int, losses: dict[str, float], report: Report) -> None:
    row = report.add(step, losses)
    if row is None or rank():
        return
    if (step + 1) % stage.evaluate_every == 0 or step + 1 == stage.config.steps:
        row |= {f"val_{k}": round(v, 4) for k, v in stage.evaluate(step).items()}
    report.write(row)
    console.print(" ".join(f"{k} {v}" for k, v in row.items()))


def _save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    # Batch norm's running figures differ from process to process; all meet here at the same step.
    average([b for b in model.buffers() if b.is_floating_point()])
    if rank():
        return
    part = path.with_suffix(".part")
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state, part)
    part.rename(path)


def _resume(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
