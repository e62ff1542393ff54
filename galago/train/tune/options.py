"""What a fine-tuning is told: options as frozen data, and the stages of the paper as presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from galago.checkpoints.adapter import MOST_RANK
from galago.errors import OptionError
from galago.specs import ImageSpec

__all__ = ["PARTS", "PRECISIONS", "PRESETS", "Preset", "TuneOptions", "chosen_parts"]

PARTS = ("projector", "decoder", "vision")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Preset:
    """A stage of FastVLM's training: arXiv 2412.13303v2, Tables 8 and 9.

    `batch` is the whole one, of all devices and accumulated steps; `side`: of the pictures, None
    for the model's own.  Every stage is one epoch of AdamW with a cosine that warms up in 3 % of
    the steps.
    """

    parts: tuple[str, ...]
    rate: float
    batch: int
    side: int | None
    data: str


PRESETS = {
    "stage1": Preset(("projector",), 1e-3, 256, None, "LLaVA-1.5's 558 K captions"),
    "stage1.5": Preset(PARTS, 2e-5, 128, 1024, "ReCap-CC3M and ReCap-CC12M, 15 M captions"),
    "stage2": Preset(PARTS, 2e-5, 128, 1024, "LLaVA-1.5's 665 K, or 1.1 to 12.5 M instructions"),
    "stage3": Preset(PARTS, 2e-5, 128, 1024, "MAmmoTH-VL, single pictures, 10.6 M"),
}


@dataclass(frozen=True)
class TuneOptions:
    """How a model is fine-tuned.

    parts: what learns; the decoder by LoRA of `rank` unless `full`, the others whole.
    epochs, max_steps: how long; the latter ends it earlier.  batch: rows a device looks at at once;
    accumulate: how many of those make one step.  rate: AdamW's highest; None for 2e-4, or 2e-5 when
    the decoder or the trunk learns whole.  whole_batch: rows a step on all devices together, which
    sets `accumulate`.
    resolution: side of the pictures in pixels; None for the model's own.
    held_out: share of the rows that are never trained on, by which training is judged and ended:
    after `patience` judgements without a better one (0: never).
    measured: of how many held-out answers before and after are compared with the right ones.
    features: keep what a trunk that doesn't learn makes of each picture, instead of looking again.
    checkpointing: compute activations twice instead of holding them.
    fsdp: the model is divided among the processes, instead of each holding it whole.
    adapter: keep what LoRA learnt alone, which needs its base, instead of a whole model.
    cut: rows beyond the model's positions lose the end of their answers, instead of being faults.
    """

    parts: tuple[str, ...] = ("projector", "decoder")
    full: bool = False
    epochs: float = 3.0
    max_steps: int | None = None
    batch: int = 4
    accumulate: int = 1
    whole_batch: int | None = None
    rate: float | None = None
    rank: int = 16
    resolution: int | None = None
    seed: int = 0
    precision: str = "auto"
    held_out: float = 0.1
    patience: int = 3
    measured: int = 100
    features: bool = True
    checkpointing: bool = False
    tensorboard: bool = False
    cut: bool = False
    fsdp: bool = False
    adapter: bool = False

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            what = unknown[0] if unknown else ""
            raise OptionError(f"--parts {what!r} is not possible: use {', '.join(PARTS)}")
        if self.precision not in PRECISIONS:
            raise OptionError(
                f"--precision {self.precision!r} is not possible: use {', '.join(PRECISIONS)}"
            )
        for name in ("batch", "accumulate", "rank"):
            if getattr(self, name) < 1:
                raise OptionError(f"--{name} {getattr(self, name)} is not possible: use 1 or more")
        for name in ("measured", "patience"):
            if getattr(self, name) < 0:
                raise OptionError(f"--{name} {getattr(self, name)} is not possible: use 0 or more")
        if not 0 <= self.seed < 2**32:  # what all the libraries' generators take
            raise OptionError(f"--seed {self.seed} is not possible: use 0 to {2**32 - 1}")
        for name in ("epochs", "rate", "max_steps", "whole_batch"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                told = name.replace("_", "-")
                raise OptionError(f"--{told} {value} is not possible: use more than 0")
        if not 0 <= self.held_out <= 0.5:
            raise OptionError(f"--held-out {self.held_out} is not possible: use 0 to 0.5")
        if self.full and "decoder" not in self.parts:
            raise OptionError("--full is about the decoder, which --parts leaves out")
        if self.adapter and not self.lora:
            raise OptionError(
                "--adapter keeps what LoRA learns: leave --full away, and the decoder in --parts"
            )

        if self.adapter and self.rank > MOST_RANK:
            raise OptionError(
                f"--rank {self.rank} is not possible with --adapter: use 1 to {MOST_RANK}"
            )

    @property
    def lora(self) -> bool:
        """Whether the decoder learns by LoRA."""
        return "decoder" in self.parts and not self.full

    @property
    def highest_rate(self) -> float:
        """`rate`, or what stands for None: LLaVA-1.5's of LoRA, and the paper's."""
        if self.rate is not None:
            return self.rate
        return 2e-5 if self.full or "vision" in self.parts else 2e-4

    @property
    def keeps_features(self) -> bool:
        return self.features and "vision" not in self.parts

    def seen(self, image: ImageSpec) -> ImageSpec:
        """How pictures are prepared; OptionError for a side that isn't possible."""
        return image if self.resolution is None else image.with_side(self.resolution)

    def accumulated(self, devices: int) -> int:
        """How many batches make a step on so many devices."""
        if self.whole_batch is None:
            return self.accumulate
        return max(1, self.whole_batch // (self.batch * devices))

    def to_json(self) -> dict[str, Any]:
        """The options in one level."""
        return dataclasses.asdict(self) | {"parts": list(self.parts)}

    def with_preset(self, name: str) -> TuneOptions:
        """These options with a stage's parts, rate, batch and side; OptionError for no stage."""
        preset = PRESETS.get(name)
        if preset is None:
            raise OptionError(f"--preset {name!r} is not possible: use {', '.join(PRESETS)}")
        return dataclasses.replace(
            self,
            parts=preset.parts,
            full="decoder" in preset.parts,
            epochs=1.0,
            rate=preset.rate,
            whole_batch=preset.batch,
            resolution=preset.side if self.resolution is None else self.resolution,
        )


def chosen_parts(text: str) -> tuple[str, ...]:
    """Parts named with commas, in their own order, each once."""
    named = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in named if part not in PARTS]
    return tuple(unknown[:1]) or tuple(part for part in PARTS if part in named)
