"""What publishing does to trained weights: norms folded into convolutions, matrices in 8 bits.

start.py goes the other way.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from galago.checkpoints.names import Shapes
from galago.checkpoints.tensors import to_bf16
from galago.engine.quantise import int8_rows
from galago.specs import FastViTSpec
from galago.train.nano.config import VisionConfig

SMALLEST_INT8 = 8192  # elements
NORM_EPS = 1e-5  # torch's BatchNorm2d


def vision_spec(vision: VisionConfig) -> FastViTSpec:
    """The trunk as galago knows it."""
    return FastViTSpec(
        depths=vision.depths,
        widths=vision.widths,
        mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
        mlp_ratios=vision.mlp_ratios,
        se_downsamples=(False,) * 5,
    )


def folded(held: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each fused convolution with the batch norm it was trained with, as one convolution."""
    out = {k: v for k, v in held.items() if ".reparam_conv." not in k}
    for key in [k for k in held if k.endswith(".reparam_conv.conv.weight")]:
        name = key.removesuffix(".conv.weight")
        norm = {
            part: held[f"{name}.norm.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        }
        gain = norm["weight"] / (norm["running_var"] + NORM_EPS).sqrt()
        out[f"{name}.weight"] = held[key].double() * gain[:, None, None, None]
        out[f"{name}.bias"] = norm["bias"] - norm["running_mean"] * gain
    return out


def stored(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """Large matrices in 8 bits with a scale a row, which halves the file; the rest in bfloat16."""
    if array.ndim < 2 or array.size < SMALLEST_INT8 or array.shape[1] == 1:
        return {name: to_bf16(array)}
    rows, scale = int8_rows(array.reshape(array.shape[0], -1))
    return {name: rows.reshape(array.shape), f"{name}.scale": scale.reshape(-1)}


def all_stored(tensors: Mapping[str, np.ndarray], wanted: Shapes) -> dict[str, np.ndarray]:
    """The `wanted` tensors as they are stored; what else was trained stays behind.

    KeyError names a tensor that is missing or has another shape.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise KeyError(f"{name} has shape {tensors[name].shape}, expected {shape}")
        arrays |= stored(name, tensors[name])
    return arrays
