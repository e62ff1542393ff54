"""What a training is told: options as frozen data, and the papers' hyperparameters as presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from galago.errors import OptionError

__all__ = ["COCA", "PRECISIONS", "PRESETS", "MOST_SCALE", "ClipOptions", "Preset", "with_preset"]

PRECISIONS = ("auto", "fp32", "bf16")
MOST_SCALE = math.log(100)  # of the student's cosines, as CLIP bounds it


@dataclass(frozen=True)
class Preset:
    """batch: of all processes together."""

    batch: int
    steps: int
    warmup: int
    rate: float
    weight: float
    about: str


# A captioner's: 12 M pictures seen, as the paper's were fine-tuned on MSCOCO-38k and on DOCCI;
# batch, rate and warm-up are those of open_clip's README for MSCOCO, as the paper names none.
COCA = "coca"
# arXiv 2508.20691's table of hyperparameters, and apple/ml-mobileclip's scripts; AdamW's betas 0.9
# and 0.95, weight decay 0.2 and gradients clipped at 1 are those of all of them. `domain` is no row
# of the paper: few steps at a small rate from published weights, with lambda as for MobileCLIP-B.
PRESETS = {
    "s0": Preset(65_536, 200_000, 10_000, 1e-3, 1.0, "MobileCLIP2-S0, S2, on DFNDR-2B"),
    "b": Preset(65_536, 200_000, 2_000, 1e-3, 1.0, "MobileCLIP2-B, on DFNDR-2B"),
    "s3": Preset(114_688, 200_000, 2_000, 1e-3, 1.0, "MobileCLIP2-S3, S4, L-14, on DFNDR-2B"),
    "12m": Preset(8_192, 30_000, 1_000, 1e-3, 1.0, "sets of 12 M, as in the ablations"),
    "domain": Preset(256, 2_000, 100, 1e-5, 0.75, "a domain of one's own, from published weights"),
    COCA: Preset(128, 93_750, 1_000, 1e-5, 1.0, "a captioner, on MSCOCO-38k or DOCCI"),
}


@dataclass(frozen=True)
class ClipOptions:
    """batch: pictures a step, of all processes together; steps, warmup: how long, and how many of
    them the rate rises, before it falls as a cosine to nothing.  weight: lambda, how much the
    teachers count beside CLIP's own loss.  workers: loading processes of each process; 0 loads in
    itself.  settled: batch norms keep the statistics that they began with.
    """

    batch: int = 256
    steps: int = 1000
    warmup: int = 100
    rate: float = 1e-3
    weight: float = 1.0
    weight_decay: float = 0.2
    clip_norm: float = 1.0
    seed: int = 0
    precision: str = "auto"
    workers: int = 1
    shuffle: int = 2000
    checkpointing: bool = False
    settled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise OptionError(
                f"--precision {self.precision!r} is not possible: use {', '.join(PRECISIONS)}"
            )
        for name in ("batch", "steps"):
            if getattr(self, name) < 1:
                raise OptionError(f"--{name} {getattr(self, name)} is not possible: use 1 or more")
        for name in ("warmup", "workers", "seed", "shuffle"):
            if getattr(self, name) < 0:
                raise OptionError(f"--{name} {getattr(self, name)} is not possible: use 0 or more")
        if not 0 < self.rate < math.inf:
            raise OptionError(f"--rate {self.rate} is not possible: use more than 0")
        if not 0 <= self.weight <= 1:
            raise OptionError(f"--lambda {self.weight} is not possible: use 0 to 1")
        if not 0 <= self.weight_decay < math.inf:
            raise OptionError(f"--weight-decay {self.weight_decay} is not possible: use 0 or more")

    def rate_at(self, step: int) -> float:
        """AdamW's rate in a step, from 0: a line up, then half a cosine down."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * share))

    def local_batch(self, processes: int) -> int:
        """Pictures of each process; OptionError where they can't be divided."""
        if self.batch % processes:
            raise OptionError(
                f"--batch {self.batch} can't be divided among {processes} processes: use a multiple"
            )
        return self.batch // processes

    def to_json(self) -> dict[str, Any]:
        """The options in one level, lambda by its name."""
        found = dataclasses.asdict(self)
        return found | {"lambda": found.pop("weight")}


def with_preset(name: str | None, chosen: dict[str, Any]) -> ClipOptions:
    """A preset's options (none: the defaults) with those that were `chosen` in their place; None
    is not chosen.  OptionError for no preset."""
    known: dict[str, Any] = {}
    if name is not None:
        preset = PRESETS.get(name)
        if preset is None:
            raise OptionError(f"--preset {name!r} is not possible: use {', '.join(PRESETS)}")
        known = dataclasses.asdict(preset)
        del known["about"]
    return ClipOptions(**known | {key: value for key, value in chosen.items() if value is not None})
