"""Stage one: teach the encoder by direct losses, before any language model listens.

Every step sees pictures of all kinds. Text is learned from the map of characters, read off the
tokens and the two stages before them, because what a late stage must carry an early one must have
found; objects, emoji and fingers from one linear read-out each of the mean token; hands also from
where each of their landmarks lies; objects also regress a teacher's features
(data/image_teacher.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from galago.train.nano.arithmetic import autocast
from galago.train.nano.config import TrainConfig
from galago.train.nano.data.image_teacher import FEATURES
from galago.train.nano.data.tasks import IGNORED, KINDS, Sample, Tasks
from galago.train.nano.model import (
    CELL_LABELS,
    JOINT_CELL,
    JOINTS,
    EncoderHeads,
    build_trunk,
    normalised,
)

NO_CHARACTER_WEIGHT = 0.2  # nine cells in ten are empty
Batch = dict[str, torch.Tensor]


class DirectModel(nn.Module):
    """The trunk under its warm-up heads."""

    def __init__(self, config: TrainConfig, tasks: Tasks) -> None:
        super().__init__()
        classes = {"object": len(tasks.labels), "emoji": len(tasks.emoji[3]), "fingers": 6}
        if tasks.nouns:
            classes["scene"] = len(tasks.nouns)
        self.trunk = build_trunk(config.vision)
        self.heads = EncoderHeads(config.vision, classes, FEATURES)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The losses of one batch, each a scalar."""
        pixels = normalised(batch["pixels"])
        tokens, (early, middle) = self.trunk.forward_intermediates(pixels, indices=[2, 3])
        return self.direct_losses({"early": early, "middle": middle, "cells": tokens}, batch)

    def direct_losses(self, maps: dict[str, torch.Tensor], batch: Batch) -> dict[str, torch.Tensor]:
        """Losses read off the tokens (B, C, h, w), and letters off the two stages before too."""
        losses: dict[str, torch.Tensor] = {}
        pooled = self.heads.pool(maps["cells"])
        for kind in self.heads.pooled:
            rows = batch[f"{kind}_rows"]
            if len(rows):
                logits = self.heads.pooled[kind](pooled[rows]).float()
                if kind == "scene":
                    losses[kind] = noun_loss(logits, batch["nouns"])
                    continue
                losses[kind] = F.cross_entropy(logits, batch[f"{kind}_labels"], label_smoothing=0.1)
        rows = batch["teacher_rows"]
        if len(rows):
            guess = F.normalize(self.heads.teacher(pooled[rows]).float(), dim=-1)
            losses["teacher"] = 1 - (guess * batch["teacher"]).sum(-1).mean()
        if len(batch["fingers_rows"]):
            rows = batch["joint_rows"]
            each = [
                joint_loss(self.heads.joint_logits(maps[name][rows], name), batch["joints"])
                for name in self.heads.joints
            ]
            losses["joints"] = torch.stack(each).mean()
        rows = batch["text_rows"]
        if len(rows):
            for name, features in maps.items():
                logits = self.heads.cell_logits(features[rows], name)
                losses[name] = cell_loss(logits, batch["classes"], batch["centres"])
        return losses


def noun_loss(logits: torch.Tensor, nouns: torch.Tensor) -> torch.Tensor:
    """Which of the nouns are there: (B, nouns) of logits, (n, 2) of picture and noun.

    Binary, for several are; what is there weighs as much as all that isn't, or "nothing" wins.
    """
    truth = torch.zeros_like(logits)
    truth[nouns[:, 0], nouns[:, 1]] = 1
    each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    there = (each * truth).sum() / truth.sum().clamp_min(1)
    return 0.5 * there + 0.5 * (each * (1 - truth)).sum() / (1 - truth).sum().clamp_min(1) * 20


def joint_loss(logits: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    """In which cell each landmark lies: (B, rows, columns, JOINTS) logits, (B, JOINTS) of cells
    counted row by row, IGNORED outside the picture.

    Zero without a hand, yet with a gradient: every process must have the same to average.
    """
    flat = logits.flatten(1, 2).transpose(1, 2).flatten(0, 1)
    loss = F.cross_entropy(flat, joints.flatten(), reduction="sum")
    return loss / (joints != IGNORED).sum().clamp_min(1)


def cell_loss(logits: torch.Tensor, classes: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Which character covers a cell (cross entropy) and whether its centre lies there (binary)."""
    weight = torch.ones(CELL_LABELS)
    weight[0] = NO_CHARACTER_WEIGHT
    kind = F.cross_entropy(logits[..., :-1].flatten(0, 2), classes.flatten(), weight=weight)
    middle = F.binary_cross_entropy_with_logits(
        logits[..., -1], centres.float(), pos_weight=torch.tensor(4.0)
    )
    return kind + 0.5 * middle


# Chosen so that at the start each loss pulls on the trunk about as hard: a few dozen labelled
# pictures would otherwise drown a thousand labelled letters.
LOSS_WEIGHTS = {
    "object": 0.6,
    "emoji": 0.3,
    "fingers": 0.6,
    "joints": 0.5,
    "scene": 0.4,
    "teacher": 4.0,
    "cells": 3.0,
    "middle": 1.5,
    "early": 1.5,
}


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([LOSS_WEIGHTS[k] * v for k, v in losses.items()]).sum()


def collate(samples: Sequence[Sample], teacher: np.ndarray) -> Batch:
    """Samples of one side -> tensors; the rows of each kind are listed."""
    batch: Batch = {"pixels": pixels_of(samples)}
    for kind in KINDS:
        rows = [i for i, s in enumerate(samples) if s.kind == kind]
        if kind == "text":  # of real lettering nobody knows where each letter stands
            rows = [i for i in rows if samples[i].cells is not None]
        batch[f"{kind}_rows"] = torch.tensor(rows, dtype=torch.long)
        batch[f"{kind}_labels"] = torch.tensor([samples[i].label for i in rows], dtype=torch.long)
    seen = [i for i, s in enumerate(samples) if s.photo >= 0]
    batch["teacher_rows"] = torch.tensor(seen, dtype=torch.long)
    target = teacher[[samples[i].photo for i in seen]].astype(np.float32)
    batch["teacher"] = F.normalize(torch.from_numpy(target), dim=-1)
    scenes = [s for s in samples if s.kind == "scene"]
    pairs = [(row, noun) for row, s in enumerate(scenes) for noun in s.nouns]
    batch["nouns"] = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
    rows = [i for i, s in enumerate(samples) if s.joints is not None]
    batch["joint_rows"] = torch.tensor(rows, dtype=torch.long)
    placed = [joint_cells(s) for s in samples if s.joints is not None]
    batch["joints"] = torch.from_numpy(np.array(placed, np.int64).reshape(-1, JOINTS))
    cells = [s.cells for s in samples if s.cells is not None]
    if cells:
        batch["classes"] = torch.from_numpy(np.stack([c.classes for c in cells])).long()
        batch["centres"] = torch.from_numpy(np.stack([c.centres for c in cells]))
    return batch


def joint_cells(sample: Sample) -> np.ndarray:
    """(JOINTS,) int64: the cell of JOINT_CELL px of each landmark, IGNORED outside the picture."""
    side = sample.picture.shape[0]
    assert sample.joints is not None
    inside = ((sample.joints >= 0) & (sample.joints < side)).all(1)
    column, row = (np.clip(sample.joints, 0, side - 1) // JOINT_CELL).astype(np.int64).T
    return np.where(inside, row * (side // JOINT_CELL) + column, IGNORED)


def pixels_of(samples: Sequence[Sample]) -> torch.Tensor:
    stacked = torch.from_numpy(np.stack([s.picture for s in samples]))
    return stacked.permute(0, 3, 1, 2).contiguous()


@torch.inference_mode()
def accuracy(
    model: DirectModel, tasks: Tasks, side: int, count: int, seed: int
) -> dict[str, float]:
    """Held-out top-1 of each read-out over `count` pictures a kind; for text over its cells."""
    model.eval()
    figures = {}
    for kind in ("object", "fingers", "emoji", "text"):
        rng = random.Random(f"{seed}-{kind}")
        right = seen = 0
        for _ in range(0, count, 50):
            samples = [tasks.sample(kind, rng, side) for _ in range(50)]
            with autocast():
                tokens = model.trunk.forward_features(normalised(pixels_of(samples)))
                if kind == "text":
                    logits = model.heads.cell_logits(tokens, "cells")[..., :-1]
                else:
                    logits = model.heads.pooled[kind](model.heads.pool(tokens))
            if kind == "text":
                truth = torch.stack([torch.from_numpy(s.cells.classes).long() for s in samples])  # type: ignore[union-attr]
                truth = truth.masked_fill(truth == 0, IGNORED)
            else:
                truth = torch.tensor([s.label for s in samples])
            right += int((logits.argmax(-1) == truth).sum())
            seen += int((truth != IGNORED).sum())
        figures[kind] = right / seen
    model.train()
    return figures
