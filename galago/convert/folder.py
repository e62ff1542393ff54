"""Folders that galago converted: opening them. (galago/convert/write.py writes them.)"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.checkpoints.folders import MANIFEST
from galago.checkpoints.limits import check_types, check_vlm
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import FileState, LazyTensor
from galago.convert.contents import unlike
from galago.disk import read_json
from galago.engine.precision import PrecisionPlan
from galago.errors import CheckpointError, OptionError
from galago.specs import FastViTSpec, ImageSpec, PromptSpec, Qwen2Spec, VLMSpec

# Raised whenever what is stored changes its meaning; older folders are converted again.
FORMAT = 2
TENSORS = "model.safetensors"


@dataclass(frozen=True)
class Converted:
    """An opened converted folder; `tensors` are folded and quantised.

    `file` is the one that holds the tensors; `top` the largest magnitude of vision's int8 weights.
    """

    folder: Path
    spec: VLMSpec
    plan: PrecisionPlan
    tensors: Mapping[str, LazyTensor]
    file: FileState
    top: int | None = None


def is_converted(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def open_converted(folder: Path, precision: str | PrecisionPlan = "auto") -> Converted:
    """Open a converted folder; CheckpointError when damaged, OptionError on another precision."""
    manifest = read_json(folder / MANIFEST, finite=False)  # a forced one's figures may not be
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} was converted by another version of galago; convert the model again"
        )
    try:
        plan = PrecisionPlan(**manifest["precision"])
        spec = spec_from_json(manifest["spec"])
        check_types(plan)
        top = manifest.get("vision", {}).get("top")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{folder / MANIFEST} is damaged; convert the model again") from None
    wanted = precision.name if isinstance(precision, PrecisionPlan) else precision
    if not plan.answers(wanted) and wanted != manifest.get("asked"):
        raise OptionError(
            f"{folder} was converted to {plan.name}, not {wanted}; convert the model again"
        )
    path = folder / TENSORS
    if not path.is_file():
        raise CheckpointError(f"{folder} lacks {TENSORS}; convert the model again")
    file = SafetensorsFile(path)
    try:
        check_vlm(spec, len(file.tensors))
    except (ValueError, ArithmeticError) as error:
        raise CheckpointError(
            f"{folder / MANIFEST} is damaged ({error}); convert the model again"
        ) from None
    fault = unlike(file.tensors, spec, plan)
    if fault is not None:
        raise CheckpointError(f"{path} {fault}; convert the model again")
    return Converted(folder, spec, plan, file.tensors, file.state, top)


def spec_to_json(spec: VLMSpec) -> dict[str, Any]:
    return dataclasses.asdict(spec)


def spec_from_json(value: Mapping[str, Any]) -> VLMSpec:
    """The inverse of spec_to_json: JSON turns tuples into lists."""

    def fields(part: Mapping[str, Any]) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in part.items()}

    top = fields(value)
    return VLMSpec(
        **top
        | {
            "vision": FastViTSpec(**fields(value["vision"])),
            "text": Qwen2Spec(**fields(value["text"])),
            "image": ImageSpec(**fields(value["image"])),
            "prompt": PromptSpec(**fields(value["prompt"])),
        }
    )
