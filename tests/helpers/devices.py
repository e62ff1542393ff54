"""Devices that aren't here: the engine's CPU under another name, which may stray, fail or wait."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from galago.engine.runtime import ov

_EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
_GPU = {
    "FULL_DEVICE_NAME": "Pretended Graphics",
    "GPU_DRIVER_VERSION": "25.1",
    "OPTIMIZATION_CAPABILITIES": ["FP32", "FP16", "INT8", "EXPORT_IMPORT"],
}
_NPU = {
    "FULL_DEVICE_NAME": "Pretended Accelerator",
    "NPU_DRIVER_VERSION": 7,
    "OPTIMIZATION_CAPABILITIES": ["FP16", "INT8", "EXPORT_IMPORT"],
}
_SETTINGS = {
    "GPU": ["PERFORMANCE_HINT", "NUM_STREAMS", "INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION",
            "CACHE_MODE", "WEIGHTS_PATH"],
    "NPU": ["PERFORMANCE_HINT", "NUM_STREAMS"],
}  # fmt: skip


class FakeCore:
    """An ov.Core with more devices than the CPU.

    `stray`: what is added to results there, so much times their largest; `nan` puts one NaN among
    them; `runs`: how many runs until the device fails for good, None for never; `refuses`: it
    compiles nothing; `gate`: it compiles when that is set. `compiled`: names of devices, in order.
    """

    def __init__(
        self,
        *devices: str,
        stray: float = 0.0,
        nan: bool = False,
        runs: int | None = None,
        refuses: bool = False,
        driver: str = "25.1",
        gate: threading.Event | None = None,
    ) -> None:
        self._core = ov.Core()
        self.available_devices = ["CPU", *(devices or ("GPU",))]
        self.stray, self.nan, self.runs, self.refuses = stray, nan, runs, refuses
        self.driver, self.gate = driver, gate
        self.compiled: list[str] = []
        self.imported: list[str] = []

    def get_property(self, name: str, which: str) -> Any:
        family = name.split(".")[0]
        if family not in _SETTINGS or name not in self.available_devices:
            return self._core.get_property(name, which)
        facts = dict(_GPU if family == "GPU" else _NPU)
        if "GPU_DRIVER_VERSION" in facts:
            facts["GPU_DRIVER_VERSION"] = self.driver
        facts["SUPPORTED_PROPERTIES"] = dict.fromkeys((*_SETTINGS[family], *facts), "RW")
        if which not in facts:
            raise RuntimeError(f"Unsupported property {which}")
        return facts[which]

    def compile_model(self, model: ov.Model, name: str, settings: Mapping[str, Any]) -> Any:
        self.compiled.append(name)
        family = name.split(".")[0]
        if family not in _SETTINGS:
            return self._core.compile_model(model, name, dict(settings))
        self._check(family, settings)
        shapes = [one.get_partial_shape() for one in model.inputs]
        if family == "NPU" and any(shape.is_dynamic for shape in shapes):
            raise RuntimeError("to_shape was called on a dynamic shape.")
        kept = {n: v for n, v in settings.items() if n == "CACHE_MODE"}
        return _Compiled(self, self._core.compile_model(model, "CPU", {**_EXACT, **kept}))

    def import_model(self, blob: Any, name: str, settings: Mapping[str, Any]) -> Any:
        self.imported.append(name)
        if name == "CPU":
            return self._core.import_model(blob, name, dict(settings))
        kept = {n: v for n, v in settings.items() if n in ("CACHE_MODE", "WEIGHTS_PATH")}
        return _Compiled(self, self._core.import_model(blob, "CPU", {**_EXACT, **kept}))

    def read_model(self, *given: Any, **named: Any) -> ov.Model:
        return self._core.read_model(*given, **named)

    def _check(self, family: str, settings: Mapping[str, Any]) -> None:
        if self.gate is not None:
            assert self.gate.wait(60)
        if self.refuses:
            raise RuntimeError("[GPU] clBuildProgram failed")
        for name in settings:
            if name not in _SETTINGS[family]:
                raise RuntimeError(f"Unsupported property {name} by {family} plugin")

    def ran(self) -> None:
        """One run more."""
        if self.runs is not None:
            if self.runs == 0:
                raise RuntimeError("[GPU] clFlush, error code: -5 CL_OUT_OF_RESOURCES")
            self.runs -= 1


class _Compiled:
    def __init__(self, core: FakeCore, real: ov.CompiledModel) -> None:
        self._core, self._real = core, real

    def create_infer_request(self) -> _Request:
        return _Request(self._core, self._real.create_infer_request())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Request:
    def __init__(self, core: FakeCore, real: ov.InferRequest) -> None:
        self._core, self._real = core, real

    def infer(self, inputs: Any, share_inputs: bool = False) -> None:
        self._core.ran()
        self._real.infer(inputs, share_inputs=share_inputs)

    def get_output_tensor(self, index: int) -> Any:
        found = np.array(self._real.get_output_tensor(index).data)
        if self._core.stray:
            random = np.random.default_rng(0).standard_normal(found.shape, dtype=np.float32)
            found += np.float32(self._core.stray) * np.abs(found).max() * random
        if self._core.nan:
            found.flat[0] = np.nan
        return _Tensor(found)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Tensor:
    def __init__(self, data: np.ndarray) -> None:
        self.data = data
