"""Where float16 would not do: its largest number is 65,504, and what is larger becomes infinite.

The largest magnitude of every result in the trunk is measured on the self-check's pictures, in
float32.  From the first stage on that has one above a quarter of float16's largest, the export
computes in float32; other pictures then have a factor of four to spare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import load

from galago.checkpoints.tensors import Float
from galago.engine.exported import largest
from galago.export.trunk import stages
from galago.specs import FastViTSpec

__all__ = ["BOUND", "STEM", "Measured", "measure"]

BOUND = 16_384.0
STEM = "vision_encoder"  # what comes before the first stage
_SIDE = 512  # of pictures that are measured with: every node's results are looked at


@dataclass(frozen=True)
class Measured:
    """The largest magnitude by stage, and the stage from which on float32 is needed."""

    stages: dict[str, float]
    wide_from: str | None

    @property
    def most(self) -> float:
        return max(self.stages.values())


def measure(graph: Path, spec: FastViTSpec, pixels: Sequence[Float]) -> Measured:
    """`graph`: the vision encoder in float32, as written by `write_vision`."""
    names = {node.name for node in load(graph, load_external_data=False).graph.node}
    points = [STEM, *stages(spec)]
    found = dict.fromkeys(points, 0.0)
    for picture in pixels:
        rows = picture[:, :, :_SIDE, :_SIDE]
        for name, value in largest(graph, {"pixel_values": rows}).items():
            stage = name.split("/")[0]
            if name in names and stage in found:  # others are made by the reader, of its own
                found[stage] = max(found[stage], value if np.isfinite(value) else np.inf)
    over = [stage for stage in points if found[stage] > BOUND]
    return Measured(found, over[0] if over else None)
