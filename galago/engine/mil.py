"""A saved Core ML package run here: its MIL program, operation by operation, as an OpenVINO graph.

Core ML itself runs on Apple's systems alone.  What is read is the file as it lies on the disk,
weights included, so that what was lost in writing shows.  Everything is computed in float32;
float16 is kept where it is stored: in weights, inputs, outputs and states.  States become inputs,
and outputs called `NAME.next`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.engine.coreml import ct, load_program
from galago.engine.exported import SETTINGS, maxima
from galago.engine.mil_ops import OPERATIONS, Translation
from galago.engine.runtime import op, ov
from galago.errors import ExportError

__all__ = ["Package", "Port"]

_WEIGHTS = "Data/com.apple.CoreML/weights"


@dataclass(frozen=True)
class Port:
    """An input, an output or a state as the package tells: `kind` float32, float16, int32 or image;
    a dimension that is free as (least, most)."""

    kind: str
    shape: tuple[int | tuple[int, int], ...]

    def told(self) -> str:
        """As docs and cards show it."""
        sizes = (str(one) if isinstance(one, int) else f"{one[0]}–{one[1]}" for one in self.shape)
        return f"{self.kind} [{', '.join(sizes)}]"


class Package:
    """A package from the disk, compiled for this processor.

    `inputs`, `outputs`, `states`: ports by name; `target`: the specification's version, 7 for iOS
    16, 9 for iOS 18.
    """

    def __init__(self, path: Path) -> None:
        """Raises ExportError when it can't be read, or has operations that aren't known here."""
        try:
            spec = ct.utils.load_spec(str(path))
            program = load_program(spec, spec.specificationVersion, str(path / _WEIGHTS))
        except Exception as error:  # coremltools raises what it likes
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise ExportError(f"{path} can't be read back: {reason}") from None
        told = spec.description
        self.target = int(spec.specificationVersion)
        self.inputs = {one.name: _port(one.type) for one in told.input}
        self.outputs = {one.name: _port(one.type) for one in told.output}
        self.states = {one.name: _port(one.type) for one in told.state}
        self._model, self._halves, self.operations = self._translated(program, path)
        self._compiled = ov.Core().compile_model(self._model, "CPU", SETTINGS)
        self._request = self._compiled.create_infer_request()

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, copies.  A picture is given as (1, 3, H, W) of 0 to 255."""
        self._request.infer(dict(inputs))
        return {
            name: np.array(self._request.get_tensor(name).data)
            for name in (*self.outputs, *(f"{state}.next" for state in self.states))
        }

    def largest(self, inputs: Mapping[str, npt.NDArray[Any]]) -> float:
        """The largest magnitude of all results that Core ML holds in float16; 0 without any."""
        found = maxima(self._model, self._halves, inputs)
        return max(found, default=0.0)

    def _translated(self, program: Any, path: Path) -> tuple[ov.Model, list[Any], set[str]]:
        function = program.functions["main"]
        made = Translation()
        for name, var in function.inputs.items():
            if name in self.states:
                sizes = [size for size in self.states[name].shape if isinstance(size, int)]
                made.state(name, sizes)
            else:
                made.input(name, var, self.inputs[name].kind)
        used = set()
        for one in function.operations:
            if one.op_type == "const":
                continue
            used.add(one.op_type)
            translate = OPERATIONS.get(one.op_type)
            if translate is None:
                raise ExportError(f"{path} can't be checked here: unknown operation {one.op_type}")
            made.keep(one, translate(made, one))
        results = []
        for var in function.outputs:
            port = op.convert(made.value(var), _TYPES[self.outputs[var.name].kind])
            results.append(_named(op.result(port), var.name))
        for name, value in made.live.items():
            port = op.convert(value, ov.Type.f16)
            results.append(_named(op.result(port), f"{name}.next"))
        return ov.Model(results, made.parameters, path.stem), made.halves, used


_TYPES = {
    "float32": ov.Type.f32,
    "float16": ov.Type.f16,
    "int32": ov.Type.i32,
    "image": ov.Type.f32,
}
_KINDS = {65568: "float32", 65552: "float16", 131104: "int32", 65600: "float64"}  # Model.proto


def _named(result: Any, name: str) -> Any:
    result.output(0).set_names({name})
    return result


def _port(told: Any) -> Port:
    which = told.WhichOneof("Type")
    if which == "imageType":
        return Port("image", (3, int(told.imageType.height), int(told.imageType.width)))
    array = told.stateType.arrayType if which == "stateType" else told.multiArrayType
    kind = _KINDS.get(array.dataType, str(array.dataType))
    ranges = array.shapeRange.sizeRanges
    if ranges:
        sizes = ((int(one.lowerBound), int(one.upperBound)) for one in ranges)
        return Port(kind, tuple(low if low == high else (low, high) for low, high in sizes))
    return Port(kind, tuple(int(size) for size in array.shape))
