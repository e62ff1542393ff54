"""What this processor can do, and the engine's settings that follow from it."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from galago.engine.precision import (
    ClipPrecision,
    PrecisionPlan,
    resolve_clip_precision,
    resolve_precision,
)
from galago.engine.runtime import op, ov
from galago.specs import VLMSpec

if TYPE_CHECKING:
    from galago.checkpoints.clip import ClipCheckpoint


# As /proc/cpuinfo calls them; elsewhere than on Linux on x86 only bf16 is known.
_FLAGS = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "VNNI": "avx512_vnni",
    "AVX-VNNI": "avx_vnni",
    "AMX": "amx_tile",
    "NEON": "asimd",
    "I8MM": "i8mm",
}


def native_bf16(core: ov.Core | None = None) -> bool:
    """Whether this processor multiplies bf16 matrices in hardware."""
    capabilities = (core or ov.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities


def precision_here(wanted: str | PrecisionPlan, spec: VLMSpec) -> PrecisionPlan:
    """auto, fp32, bf16, int8, int4 or a pair -> the plan for this model on this processor."""
    if isinstance(wanted, PrecisionPlan):
        return wanted
    return resolve_precision(wanted, spec, native_bf16=native_bf16())


def clip_precision_here(wanted: str, checkpoint: ClipCheckpoint) -> ClipPrecision:
    """auto, fp32, bf16 or int8 -> what this model runs in on this processor."""
    size = sum(math.prod(tensor.shape) for tensor in checkpoint.tensors.values())
    return resolve_clip_precision(wanted, size, native_bf16=native_bf16())


def product_format(precision: str, core: ov.Core | None = None) -> Literal["bf16", "f32"]:
    """What the products of a network in this precision are computed in here."""
    return "bf16" if precision != "fp32" and native_bf16(core) else "f32"


def options(precision: str, threads: int | None) -> dict[str, Any]:
    """The plug-in's settings for one picture or one reply at a time."""
    chosen: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        # Where it multiplies bytes, a scale for each 128 numbers of an input (its own choice is 32)
        # makes prefill 1.2 times as fast, far within the self-check's bounds (docs/performance.md).
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 128,
    }
    if threads:
        chosen["INFERENCE_NUM_THREADS"] = threads
        # Threads would be tied to the first processors, to the same ones in every process.
        chosen["ENABLE_CPU_PINNING"] = False
    return chosen


def language_options(
    plan: PrecisionPlan, threads: int | None, core: ov.Core | None = None
) -> dict[str, Any]:
    """The settings a decoder of this plan runs with."""
    hint = product_format(plan.language, core)
    # The plug-in would keep keys and values in 8 bits; a cache cut back and continued should give
    # what a fresh one gives.
    return options(hint, threads) | {"KV_CACHE_PRECISION": hint}


def exact_products() -> bool:
    """Whether 8-bit products add up exactly on this processor.

    Without VNNI two products of an unsigned and a signed byte are added in 16 bits and may hit the
    end of that range; weights of 7 bits never do.
    """
    channels = 64
    pixels = op.parameter(ov.PartialShape([1, channels, 8, 8]), ov.Type.f32)
    narrow = op.fake_quantize(pixels, *(np.float32(n) for n in (0, 255, 0, 255)), 256)
    full = op.constant(np.full((channels, channels, 1, 1), 127, np.int8))
    matrix = op.multiply(op.convert(full, "f32"), op.constant(np.ones((channels, 1, 1, 1), "f4")))
    product = op.convolution(narrow, matrix, [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = ov.Core().compile_model(ov.Model([op.result(product)], [pixels], "probe"), "CPU")
    found = compiled(np.full((1, channels, 8, 8), 255, np.float32))[0]
    return bool(np.allclose(found, 255 * 127 * channels, rtol=0.01))


def multiplies_bytes() -> bool:
    """Whether this processor has instructions for products of bytes (VNNI or AMX)."""
    flags = set(instructions().lower().split())
    return any(_FLAGS[name] in flags for name in ("VNNI", "AVX-VNNI", "AMX"))


def is_lean() -> bool:
    """Whether this is a processor with AVX2 and none of what makes products quick beyond it."""
    flags = set(instructions().lower().split())
    found = {name for name, flag in _FLAGS.items() if flag in flags}
    return "AVX2" in found and not found & {"AVX-512", "VNNI", "AVX-VNNI", "AMX"}


@dataclass(frozen=True)
class Processor:
    """What a report says of it: its own name, what it can multiply with, the engine's devices."""

    name: str
    abilities: tuple[str, ...]
    devices: tuple[str, ...]
    engine: str


def about() -> Processor:
    """This processor and the engine on it; `abilities` of AVX2, AVX-512, VNNI, AMX and bf16."""
    core = ov.Core()
    flags = set(instructions().lower().split())
    found = [name for name, flag in _FLAGS.items() if flag in flags]
    if native_bf16(core):
        found.append("bf16")
    devices = tuple(core.available_devices)
    name = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
    return Processor(name, tuple(found), devices, ov.get_version())


def instructions() -> str:
    """What the processor shows, which virtual machines of one processor differ in (Linux)."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="latin-1") as file:
        # Of many processors the first: writing all of them down takes the system long.
        lines = file.read(1 << 14).split("\n")
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return ""
