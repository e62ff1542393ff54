"""A saved Core ML package run here: its MIL program, operation by operation, as an OpenVINO graph.

Core ML itself runs on Apple's systems alone.  What is read is the file as it lies on the disk,
weights included, so that what was lost in writing shows.  Everything is computed in float32;
float16 is kept where it is stored: in weights, inputs, outputs and states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.engine.coreml import ct, load_program
from galago.engine.exported import SETTINGS, greatest
from galago.engine.mil_cuts import cut, held_by, inputs_of, variables_of
from galago.engine.mil_ops import OPERATIONS, Translation, is_given
from galago.engine.runtime import op, ov
from galago.errors import ExportError

__all__ = ["Package", "Part", "Port", "Values"]

Values = Mapping[str, npt.NDArray[Any]]
_WEIGHTS = "Data/com.apple.CoreML/weights"
_LARGEST = "largest in float16"


@dataclass(frozen=True)
class Port:
    """An input, an output or a state as the package tells: `kind` float32, float16, int32 or image;
    a dimension that is free as (least, most)."""

    kind: str
    shape: tuple[int | tuple[int, int], ...]

    def sizes(self) -> list[int]:
        """Of a shape without free dimensions."""
        return [size for size in self.shape if isinstance(size, int)]

    def told(self) -> str:
        """As docs and cards show it."""
        sizes = (str(one) if isinstance(one, int) else f"{one[0]}–{one[1]}" for one in self.shape)
        return f"{self.kind} [{', '.join(sizes)}]"


class Package:
    """A package from the disk; compiled for this processor when it is run.

    `inputs`, `outputs`, `states`: ports by name; `target`: the specification's version, 7 for iOS
    16, 9 for iOS 18.  A row of a state's first axis goes in as `NAME.ROW` in float16 and comes out
    as `NAME.ROW.next`.
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
        function = program.functions["main"]
        self.operations = [one for one in function.operations if not is_given(one)]
        for one in function.operations:
            if one.op_type != "const" and one.op_type not in OPERATIONS:
                raise ExportError(f"{path} can't be checked here: unknown operation {one.op_type}")
        self._function: Any = function
        self._whole: Part | None = None

    def run(self, inputs: Values) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, copies.  A picture is given as (1, 3, H, W) of 0 to 255."""
        if self._whole is None:
            self._whole = next(self.parts())
            self._function = None  # its weights are the engine's now
        return self._whole.run(inputs)

    def parts(self, most: int | None = None, before: str | None = None) -> Iterator[Part]:
        """The program in parts of at most so many bytes of weights in float32, each compiled when
        it is asked for; what one gives the next is by the names of variables.  All at once
        without `most`.  A part begins with what makes the variable `before`.

        Not after `run`, which lets go of the weights.  ExportError for operations of a kind that
        isn't known here.
        """
        if self._function is None:
            raise ExportError("a package that was run can't be cut: read it again")
        pieces = [self.operations] if most is None else cut(self.operations, most, before)
        ahead = [inputs_of(piece) for piece in pieces]
        ends = {var.name for var in self._function.outputs}
        for index, piece in enumerate(pieces):
            later = ends.union(*ahead[index + 1 :])
            share = (index + 1) / len(pieces)
            yield self._part(piece, later, share, watched=most is not None)

    def _part(self, piece: Sequence[Any], later: set[str], share: float, *, watched: bool) -> Part:
        held = held_by(self.operations)
        shapes = {name: port.sizes() for name, port in self.states.items()}
        made = Translation(shapes, held)
        for name, var in variables_of(piece).items():
            if name not in shapes and name not in held:
                made.input(name, var, self.inputs[name].kind if name in self.inputs else None)
        try:
            for one in piece:
                made.keep(one, OPERATIONS[one.op_type](made, one))
        except (KeyError, ValueError) as error:
            raise ExportError(f"this program can't be checked here: {error}") from None
        results = {}
        for var in (var for one in piece for var in one.outputs):
            if var.name in later and var.name not in held:
                node = made.value(var)
                if var.name in self.outputs:
                    node = op.convert(node, _TYPES[self.outputs[var.name].kind])
                results[var.name] = node
        for name, state in made.live.items():
            for row, node in state.rows.items():
                results[f"{name}.{row}.next"] = op.convert(node, ov.Type.f16)
        return Part(made, results, later, share, watched=watched)


class Part:
    """Operations of a program, compiled.

    `takes`, `gives`: names; `later`: those that the parts behind it or who runs it need; `share`:
    how far it comes in the program; `largest`: where it is `watched`, the largest magnitude so far
    that Core ML would hold in float16.
    """

    def __init__(
        self,
        made: Translation,
        results: Mapping[str, Any],
        later: set[str],
        share: float,
        *,
        watched: bool,
    ) -> None:
        self.takes, self.gives = tuple(made.parameters), tuple(results)
        self.later, self.share, self.largest = later, share, 0.0
        self._watched = watched and bool(made.halves)
        ports = [_named(op.result(node), name) for name, node in results.items()]
        if self._watched:
            one = op.constant(np.array([1], np.int64))
            most = [op.reshape(greatest(node), one, special_zero=False) for node in made.halves]
            ports.append(_named(op.result(op.concat(most, 0)), _LARGEST))
        model = ov.Model(ports, list(made.parameters.values()), "part")
        self._compiled = ov.Core().compile_model(model, "CPU", SETTINGS)
        self._request = self._compiled.create_infer_request()

    def run(self, values: Values) -> dict[str, npt.NDArray[Any]]:
        """What it gives, copies; of `values` it takes what it needs."""
        self._request.infer({name: values[name] for name in self.takes})
        if self._watched:
            found = self._request.get_tensor(_LARGEST).data
            self.largest = max(self.largest, float(np.max(found)))
        return {name: np.array(self._request.get_tensor(name).data) for name in self.gives}


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
