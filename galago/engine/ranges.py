"""Ranges of the inputs of a trunk's convolutions, measured in the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from galago.checkpoints.names import VISION
from galago.checkpoints.tensors import Float, InMemory
from galago.engine.graph import fastvit, ops
from galago.engine.runtime import op, ov
from galago.specs import VLMSpec


def measure(
    weights: Mapping[str, InMemory], spec: VLMSpec, seen: Sequence[Float]
) -> dict[str, tuple[Float, Float, Float]]:
    """Layer -> least, largest and mean square (C,) of its input's channels over all pictures."""
    model = fastvit.build(weights, spec.vision)
    layers = [node for node in model.get_ops() if _may_be_narrow(node)]
    outputs = []
    for node in layers:
        x, axes = node.input_value(0), ops.integers(0, 2, 3)
        square = op.reduce_mean(op.multiply(x, x), axes)
        parts = (op.reduce_min(x, axes), op.reduce_max(x, axes), square)
        outputs += [op.result(part) for part in parts]
    probe = ov.Model(outputs, model.get_parameters(), "ranges")
    compiled = ov.Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    runs = [list(compiled({"pixel_values": one}).values()) for one in seen]
    figures: dict[str, tuple[Float, Float, Float]] = {}
    for at, node in enumerate(layers):
        low, high, square = (np.stack([run[3 * at + part] for run in runs]) for part in range(3))
        name = VISION + node.get_friendly_name()
        figures[name] = (low.min(0), high.max(0), square.mean(0))
    return figures


def _may_be_narrow(node: ops.Node) -> bool:
    """1x1 convolutions over the picture: nine tenths of the trunk's work. (Gates are tiny.)"""
    if node.get_type_name() != "Convolution" or ".se." in node.get_friendly_name():
        return False
    return tuple(node.input_value(1).get_shape()[2:]) == (1, 1)
