"""Exported graphs read back and run by OpenVINO, to see whether they say what they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float
from galago.engine.runtime import op, ov
from galago.errors import ExportError

__all__ = ["SETTINGS", "Exported", "greatest", "largest", "maxima"]

SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}


class Exported:
    """A graph from a file, compiled for this processor in float32."""

    def __init__(self, path: Path) -> None:
        """Raises ExportError when the file isn't one that the engine can read."""
        model = _read(path)
        self.inputs = {port.get_any_name(): str(port.get_partial_shape()) for port in model.inputs}
        self.outputs = tuple(port.get_any_name() for port in model.outputs)
        self._half = {
            port.get_any_name() for port in model.inputs if port.get_element_type() == ov.Type.f16
        }
        self._compiled = ov.Core().compile_model(model, "CPU", SETTINGS)
        self._request = self._compiled.create_infer_request()

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, copies; float32 for an input in float16 is narrowed."""
        given = {
            name: array.astype(np.float16) if name in self._half else array
            for name, array in inputs.items()
        }
        self._request.infer(given)
        return {name: np.array(self._request.get_tensor(name).data) for name in self.outputs}

    def release(self) -> None:
        """As Network.release."""
        self._compiled.release_memory()


def largest(path: Path, inputs: Mapping[str, Float]) -> dict[str, float]:
    """The largest magnitude of each floating-point result in a graph, by its node's name."""
    model = _read(path)
    names, ports = [], []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind in ("Constant", "Convert", "Result", "Parameter") or not node.get_output_size():
            continue
        port = node.output(0)
        if port.get_element_type() not in (ov.Type.f32, ov.Type.f16) or _is_fixed(node):
            continue
        if port.get_partial_shape().rank.is_dynamic:
            continue
        names.append(node.get_friendly_name())
        ports.append(port)
    return dict(zip(names, maxima(model, ports, inputs), strict=True))


def maxima(
    model: ov.Model, ports: Sequence[Any], inputs: Mapping[str, npt.NDArray[Any]]
) -> list[float]:
    """The largest magnitude of each of these results, in order."""
    probes = [op.result(greatest(port)) for port in ports]
    probe = ov.Model(probes, model.get_parameters(), "largest")
    found = ov.Core().compile_model(probe, "CPU", SETTINGS)(dict(inputs))
    return [float(value) for value in found.values()]


def greatest(port: Any) -> Any:
    """The node of the largest magnitude in a result, a scalar."""
    size = op.abs(port)
    axes = op.constant(np.arange(len(size.get_output_partial_shape(0)), dtype=np.int64))
    return op.reduce_max(size, axes, keep_dims=False)


def _is_fixed(node: Any) -> bool:
    """Whether it is made of constants alone, such as a weight that is widened."""
    sources = [port.get_node() for port in node.input_values()]
    return bool(sources) and all(
        one.get_type_name() == "Constant" or _is_fixed(one) for one in sources
    )


def _read(path: Path) -> ov.Model:
    try:
        return ov.Core().read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ExportError(f"{path} can't be read back: {reason}") from None
