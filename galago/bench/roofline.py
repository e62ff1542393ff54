"""What this machine can do at most: products of large matrices a second, bytes read a second.

A row's share of these limits tells how much a faster implementation could still gain (Williams,
Waterman and Patterson 2009, "Roofline", doi:10.1145/1498765.1498785).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from galago.engine.runtime import ov

__all__ = ["product", "read"]

_SIDE = 2048
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


def product(options: Mapping[str, Any]) -> dict[str, Any]:
    """GFLOP/s of a product of two matrices of 2048 x 2048, as OpenVINO runs it.

    Of several runs the fastest counts: it is the machine's limit that is looked for.
    """
    precision = options["precision"]
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": options["threads"],
    }
    compiled = ov.Core().compile_model(_product(precision), "CPU", settings)
    request = compiled.create_infer_request()
    given = np.random.default_rng(0).random((1, _SIDE, _SIDE), dtype=np.float32)
    times = []
    for _ in range(options["runs"]):
        started = time.perf_counter()
        request.infer([given], share_inputs=True)
        times.append(time.perf_counter() - started)
    rates = [2 * _SIDE**3 / seconds / 1e9 for seconds in times[2:]]
    return {"ran_in": _ran_in(compiled), "samples": {"gflops": [max(rates)]}}


def _product(precision: str) -> ov.Model:
    """x @ W; in int8 both are 8-bit, as a calibrated graph has them."""
    ops = ov.opset13
    rng = np.random.default_rng(1)
    x = ops.parameter([1, _SIDE, _SIDE], np.float32)
    if precision == "int8":
        low, high = np.float32(0), np.float32(1)
        left = ops.fake_quantize(x, low, high, low, high, 256)
        weights = ops.constant(rng.integers(-127, 128, (_SIDE, _SIDE), dtype=np.int8))
        right = ops.multiply(ops.convert(weights, "f32"), np.float32(1 / 127))
    else:
        left = x
        right = ops.constant(rng.standard_normal((_SIDE, _SIDE), dtype=np.float32))
    found = ops.matmul(left, right, transpose_a=False, transpose_b=True)
    # One number a row goes out, so that writing the product is not what is measured.
    return ov.Model([ops.reduce_max(found, [2])], [x], "product")


def _ran_in(compiled: ov.CompiledModel) -> str:
    """The number format that the product itself ran in."""
    for op in compiled.get_runtime_model().get_ops():
        info = op.get_rt_info()
        if str(info["layerType"].astype(str)) in ("MatMul", "FullyConnected"):
            return str(info["runtimePrecision"].astype(str))
    return "unknown"


def read(options: Mapping[str, Any]) -> dict[str, Any]:
    """Gigabytes a second that the threads read together, from arrays far larger than the caches.

    By the largest number and by a product with itself: which of the two is faster differs.
    """
    threads = options["threads"]
    parts = [np.ones(64 << 20, np.float32) for _ in range(threads)]  # 256 MB each
    whole = sum(part.nbytes for part in parts)

    rates = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(options["runs"]):
            for scan in (np.max, lambda part: np.dot(part, part)):
                started = time.perf_counter()
                list(pool.map(scan, parts))
                rates.append(whole / (time.perf_counter() - started) / 1e9)
    return {"samples": {"gigabytes_per_second": [max(rates[2:])]}}
