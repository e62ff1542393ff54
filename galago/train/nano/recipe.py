"""What a kind of model brings to its training, and where a run's things lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from galago.train.nano.config import StageConfig
from galago.train.nano.trainer import Stage


@dataclass(frozen=True)
class Places:
    """Where a run's things lie."""

    out: Path  # checkpoints, logs and the model
    fonts: Path  # npm's @fontsource
    start: Path | None = None  # the published folder that it starts from
    labels: Path | None = None  # what teachers said of the pictures (galago/train/nano/teach)
    shards: Path | None = None

    @property
    def cache(self) -> Path:
        return self.out / "cache"

    @property
    def tokenizer(self) -> Path:
        return self.out / "tokenizer"


class Recipe(Protocol):
    """What is particular about a kind of model: vlm/recipe.py, clip/recipe.py."""

    def prepare(self, stages: Sequence[StageConfig]) -> None:
        """Build, once, what the processes share and these stages need."""

    def stage(self, stage: StageConfig) -> Stage:
        """One stage, in one of the processes."""

    def settling(self, stage: StageConfig) -> torch.Tensor:
        """Pictures of the stage's mixture as the trunk takes them, the same in every process."""

    def finish(self) -> None:
        """Publish the last stage's weights, measure them and write the card."""
