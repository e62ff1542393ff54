"""Weight quantisation, in plain numpy.

Weights are symmetric, rounded to nearest. int8: one scale an output row. int4: one scale a group
of `group` neighbouring weights of a row, two weights to a byte (the low half first). Activations
are quantised in the graph, over a `Range` measured beforehand (galago/convert/calibrate.py), or
by the engine as they come.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float

Range = tuple[float, float]  # the least and the largest value that a layer's input takes
# Largest int8 weights of 8 and of 7 bits.
FULL_TOP, HALF_TOP = 127, 63


def int8_rows(matrix: Float, top: int = FULL_TOP) -> tuple[npt.NDArray[np.int8], Float]:
    """(O, I) -> int8 (O, I) of magnitude up to `top`, and scales (O, 1)."""
    scale = np.max(np.abs(matrix), axis=1, keepdims=True) / np.float32(top)
    safe = np.where(scale == 0, np.float32(1), scale).astype(np.float32)
    return np.rint(matrix / safe).astype(np.int8), safe


def int4_groups(matrix: Float, group: int) -> tuple[npt.NDArray[np.uint8], Float]:
    """(O, I) -> packed (O, I / 2) and scales (O, I / group, 1).

    The weight of largest magnitude in a group falls on -8, the one value with no opposite, so all
    sixteen steps are used.
    """
    rows, columns = matrix.shape
    grouped = matrix.reshape(rows, columns // group, group)
    low, high = grouped.min(axis=2, keepdims=True), grouped.max(axis=2, keepdims=True)
    extreme = np.where(-low > high, low, high)
    scale = (extreme / np.float32(-8)).astype(np.float32)
    safe = np.where(scale == 0, np.float32(1), scale)
    values = np.clip(np.rint(grouped / safe), -8, 7).astype(np.int8).reshape(rows, columns)
    nibbles = values.view(np.uint8) & np.uint8(0x0F)
    return nibbles[:, 0::2] | (nibbles[:, 1::2] << np.uint8(4)), safe


def group_size(columns: int, wanted: int) -> int:
    """The largest group of at most `wanted` weights that divides a row (0: none of 16 or more)."""
    for size in (wanted, wanted // 2, wanted // 4, wanted // 8):
        if size >= 16 and columns % size == 0:
            return size
    return 0
