"""What a plan is made of: a row, the work behind it, and how much is measured."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CLIP", "ENGINE", "FIELD", "Job", "Row", "Settings"]

CLIP = "clip/"  # how names of rows of MobileCLIP and of albums begin
FIELD = "field/"  # ... and of the towers and decoders that others are made of
ENGINE = ("openvino", "numpy")


@dataclass(frozen=True)
class Job:
    """A function of galago.bench by name ("vlm.ours.first"), and its options.

    `modules` are those of the extra `bench` that it imports. `scratch` is a folder that it makes
    and that goes behind the last row that needs the job.
    """

    kind: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    modules: tuple[str, ...] = ()
    scratch: Path | None = None


@dataclass(frozen=True)
class Row:
    """One line of the results, and what has to be made for it first.

    `packages` are those whose versions matter; `ours`: galago's own does, too; `once`: no rounds.
    """

    name: str
    job: Job
    needs: tuple[Job, ...] = ()
    packages: tuple[str, ...] = ENGINE
    once: bool = False
    ours: bool = True


@dataclass(frozen=True)
class Settings:
    """How much is measured, and where things are kept.

    MobileCLIP's towers are timed by `clock`: "wall", or on a machine that others are using "cpu",
    the processor's time for one thread. `device` and `vision_device` are galago's; None: the CPU.
    """

    cache: Path
    threads: int
    runs: int = 5
    quick: bool = False
    clock: str = "wall"
    device: str | None = None
    vision_device: str | None = None

    @property
    def placed(self) -> dict[str, str]:
        """The devices that were named, as options of jobs: rows of the CPU stay what they were."""
        named = {"device": self.device, "vision_device": self.vision_device}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def cores(self) -> tuple[int, ...]:
        """Numbers of threads: powers of two up to the cores."""
        most = max(self.threads, os.cpu_count() or 1)
        return tuple(sorted({*(1 << n for n in range(10) if 1 << n <= most), most}))
