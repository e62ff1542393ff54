"""MLX's affine quantisation: groups of 64 numbers of a row, each q * scale + bias.

q is whole, from 0 to 2^bits - 1, packed into uint32 with the first number in the lowest bits
(https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galago.checkpoints.tensors import Float, to_bf16, widen

__all__ = ["GROUP", "can_be_quantised", "dequantise", "quantise"]

GROUP = 64


def can_be_quantised(shape: tuple[int, ...]) -> bool:
    """Whether rows are whole groups."""
    return len(shape) == 2 and shape[1] % GROUP == 0


def quantise(
    weight: Float, bits: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint16], NDArray[np.uint16]]:
    """(N, K) -> packed (N, K * bits / 32), scales and biases (N, K / 64) in bf16.

    Numbers are rounded with the scale and bias that are stored, so that what bf16 loses of these
    costs as little as can be.
    """
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // GROUP, GROUP)
    top = np.float32((1 << bits) - 1)
    low, high = groups.min(-1), groups.max(-1)
    biases = to_bf16(low)
    # Up to the highest from where the stored bias begins; one alone in its group needs no step.
    reach = np.maximum((high - widen(biases, "BF16")) / top, np.float32(1e-8))
    scales = to_bf16(reach)
    step, start = widen(scales, "BF16")[..., None], widen(biases, "BF16")[..., None]
    whole = np.clip(np.rint((groups - start) / step), 0, top).astype(np.uint32)
    return _packed(whole.reshape(rows, columns), bits), scales, biases


def _packed(whole: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    each = 32 // bits
    parts = whole.reshape(len(whole), -1, each)
    packed = np.zeros(parts.shape[:2], np.uint32)
    for at in range(each):
        packed |= parts[..., at] << np.uint32(bits * at)
    return packed


def dequantise(
    packed: NDArray[np.uint32], scales: NDArray[np.uint16], biases: NDArray[np.uint16], bits: int
) -> Float:
    """The inverse, as MLX multiplies: float32 (N, K)."""
    shifts = np.arange(32 // bits, dtype=np.uint32) * np.uint32(bits)
    whole = (packed[..., None] >> shifts) & np.uint32((1 << bits) - 1)
    groups = whole.reshape(*scales.shape, GROUP).astype(np.float32)
    found: Float = groups * widen(scales, "BF16")[..., None] + widen(biases, "BF16")[..., None]
    return found.reshape(len(packed), -1)
