"""How a part is timed at its sizes: as often as a minute allows, and no longer than an hour."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float

__all__ = ["HOUR", "filled", "pool", "timed"]

HOUR = 3600.0
_LONG = 20.0  # seconds beyond which a first run counts, and isn't repeated
_ENOUGH = 60.0  # seconds spent at a size
_POOL = 1 << 22

Step = Callable[[], object]


def timed(
    sizes: Sequence[str],
    work: Mapping[str, float],
    prepare: Callable[[str], Step],
    runs: int,
    limit: float = HOUR,
) -> dict[str, Any]:
    """{"points": {size: seconds each}, "left_out": {size: why}}, from the least work to the most.

    `prepare(size)` gives the step that is timed. The first run of a size warms up, unless it is
    long. What would take the whole beyond `limit` seconds, judged by the size before, is left out.
    """
    points: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    started, rate = time.monotonic(), math.inf  # operations a second of the size before
    for size in sorted(sizes, key=lambda one: work[one]):
        expected = work[size] / rate
        if time.monotonic() - started + expected > limit:
            left_out[size] = f"would take about {expected / 60:.0f} minutes"
            continue
        try:
            found = _repeated(prepare(size), runs)
        except MemoryError:
            left_out[size] = "memory"
            continue
        points[size], rate = found, work[size] / min(found)
    return {"points": points} | ({"left_out": left_out} if left_out else {})


def _repeated(step: Step, runs: int) -> list[float]:
    first = _seconds(step)
    if first > _LONG:
        return [first]
    return [_seconds(step) for _ in range(max(1, min(runs, int(_ENOUGH / max(first, 1e-6)))))]


def _seconds(step: Step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def pool() -> Float:
    """Normal numbers that every random tensor is cut from: drawing billions would take minutes."""
    return np.random.default_rng(0).standard_normal(_POOL, dtype=np.float32)


def filled(name: str, shape: tuple[int, ...], numbers: npt.NDArray[Any]) -> Float:
    """float32 values that neither die out nor blow up in the layers behind.

    Norms are 1, biases 0, scales of a branch 0.2; the rest is scaled by its fan-in.
    """
    part = name.rpartition(".")[2]
    if part in ("gamma", "layer_scale"):
        return np.full(shape, 0.2, np.float32)
    if part == "bias" or len(shape) < 2:
        return np.full(shape, float(part != "bias"), np.float32)
    fan_in = shape[-1] if part in ("pos_embed", "cls_token", "latent") else math.prod(shape[1:])
    return np.asarray(np.resize(numbers, shape) * np.float32(fan_in**-0.5), np.float32)
