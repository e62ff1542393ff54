"""Multi-modal reinforced training's loss: arXiv 2311.17049, section 3.2, with 2508.20691's scales.

    L(B) = (1 - lambda) L_clip(B) + lambda L_distill(B), of the captions and of the synthetic ones
    L_distill = (L_image_to_text + L_text_to_image) / 2
    L_image_to_text = 1 / (b K) sum_k KL(softmax(s_k I_k T_k^T) || softmax(s I T^T)), by rows

with K teachers' unit rows I_k, T_k and their scales s_k, and the student's.  B is the whole batch
of all processes: each compares its own rows with everybody's, and gradients go back to whom they
belong, so that the mean of the processes' gradients (as DistributedDataParallel takes it) is that
of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F

__all__ = ["Losses", "Teaching", "dr_loss", "gathered"]


class _Gather(torch.autograd.Function):
    """Rows of all processes, in order; backwards each gets the sum of the gradients of its own."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor) -> torch.Tensor:
        held = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(held, rows.contiguous())
        return torch.cat(held)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        whole = grads[0].contiguous()
        dist.all_reduce(whole)
        count = len(whole) // dist.get_world_size()
        return whole.narrow(0, dist.get_rank() * count, count)


def gathered(rows: torch.Tensor) -> torch.Tensor:
    """(b, dim) of this process -> (b x processes, dim); every process must have as many."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    return _Gather.apply(rows)


@dataclass(frozen=True)
class Teaching:
    """How teachers count: `dims`, their numbers side by side in a row; `scales`; lambda."""

    dims: tuple[int, ...]
    scales: tuple[float, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Losses:
    """Scalars of this process's part: `total`, and what it is the weighted sum of."""

    total: torch.Tensor
    clip: torch.Tensor
    distill: torch.Tensor


def dr_loss(
    images: torch.Tensor,
    texts: Sequence[torch.Tensor],
    scale: torch.Tensor,
    taught_images: torch.Tensor,
    taught_texts: Sequence[torch.Tensor],
    teaching: Teaching,
) -> Losses:
    """The student's unit rows (b, dim) of pictures and of one or two captions of each, `scale` of
    its cosines, and the teachers' rows (b, sum of dims) of the same.
    """
    sides = _Side.of(images, taught_images)
    clip, distill = images.new_zeros(()), images.new_zeros(())
    for own, told in zip(texts, taught_texts, strict=True):
        other = _Side.of(own, told)
        for one, another in ((sides, other), (other, sides)):
            logits = scale * one.own @ another.all.T
            if teaching.weight < 1:
                clip = clip + 0.5 * F.cross_entropy(logits, one.places)
            if teaching.weight > 0:
                distill = distill + 0.5 * _divergence(
                    logits, one.taught, another.taught_all, teaching
                )
    total = (1 - teaching.weight) * clip + teaching.weight * distill
    return Losses(total, clip.detach(), distill.detach())


@dataclass(frozen=True)
class _Side:
    """Pictures or captions: this process's rows and everybody's, the student's and the teachers';
    `places`: where the own ones are among all."""

    own: torch.Tensor
    all: torch.Tensor
    taught: torch.Tensor
    taught_all: torch.Tensor
    places: torch.Tensor

    @classmethod
    def of(cls, own: torch.Tensor, taught: torch.Tensor) -> _Side:
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        places = torch.arange(len(own), device=own.device) + rank * len(own)
        with torch.no_grad():
            taught_all = gathered(taught)
        return cls(own, gathered(own), taught, taught_all, places)


def _divergence(
    logits: torch.Tensor, taught: torch.Tensor, taught_all: torch.Tensor, teaching: Teaching
) -> torch.Tensor:
    """Mean over the rows, and over the teachers, of the KL divergence from each teacher's."""
    student = logits.log_softmax(1)
    parts = zip(
        taught.split(teaching.dims, 1), taught_all.split(teaching.dims, 1), teaching.scales,
        strict=True,
    )  # fmt: skip
    total = logits.new_zeros(())
    for rows, all_rows, scale in parts:
        target = (scale * rows @ all_rows.T).log_softmax(1)
        total = total + F.kl_div(student, target, reduction="batchmean", log_target=True)
    return total / len(teaching.dims)
