"""The vision part of a configuration: what FastVLM's and MobileCLIP's have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago import specs
from galago.checkpoints.limits import check_trunk
from galago.errors import CheckpointError
from galago.specs import FastViTSpec

__all__ = [
    "TIMM_TRUNKS",
    "Json",
    "Triple",
    "check_format",
    "checked_trunk",
    "fields",
    "own_trunk",
    "resampling",
    "triple",
]

Json = Mapping[str, Any]
Triple = tuple[float, float, float]

TIMM_TRUNKS = {
    "fastvit_mci0": specs.MCI0,
    "fastvit_mci1": specs.MCI1,
    "fastvit_mci2": specs.MCI2,
    "fastvit_mci3": specs.MCI3,
    "fastvit_mci4": specs.MCI4,
}
# By PIL's numbers, as transformers writes them, and by name, as open_clip does.
_RESAMPLE: dict[object, specs.Resample] = {
    2: "bilinear",
    3: "bicubic",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
}


def check_format(folder: Path, own: Json) -> None:
    """CheckpointError for a "galago" block of a format that this galago doesn't know."""
    if own.get("format") != 1:
        raise CheckpointError(
            f"{folder} was written by a newer galago (format {own.get('format')!r:.40}); update "
            "galago"
        )


def own_trunk(own: Json) -> FastViTSpec:
    """The trunk of a "galago" block; ValueError or TypeError when it is none."""
    return checked_trunk(FastViTSpec(**fields(own["vision"])))


def checked_trunk(trunk: FastViTSpec) -> FastViTSpec:
    """The trunk; ValueError when it is none."""
    check_trunk(trunk)
    return trunk


def fields(block: Json) -> dict[str, Any]:
    """JSON has lists where the specs have tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in block.items()}


def triple(values: Any, default: Triple) -> Triple:
    """Three numbers, one a colour, or one for all of them; ValueError for anything else."""
    if not values and not isinstance(values, (int, float)):
        return default
    values = values if isinstance(values, (list, tuple)) else [values] * 3
    if not all(type(value) in (int, float) for value in values):
        raise ValueError(f"{values!r:.80} are no numbers")
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def resampling(folder: Path, value: object) -> specs.Resample:
    """How pictures are resized, by PIL's number or by name; CheckpointError for another way."""
    found = _RESAMPLE.get(value) if type(value) in (int, str) else None
    if found is None:
        raise CheckpointError(f"{folder}: resampling {value!r:.80} is not known")
    return found
