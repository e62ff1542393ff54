"""Weights in few bits as ONNX Runtime's MatMulNBits takes them, in plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galago.checkpoints.tensors import Float

__all__ = ["blocks"]


def blocks(matrix: Float, bits: int, size: int) -> tuple[NDArray[np.uint8], Float]:
    """(N, K) -> uint8 (N, K / size, size * bits / 8), low half first, and scales (N, K / size).

    Symmetric about 2^(bits - 1); the weight of largest magnitude in a block falls on the one value
    with no opposite, so that all steps are used.  A last block that isn't full is filled with
    zeros.  Format: docs/ContribOperators.md of ONNX Runtime, com.microsoft.MatMulNBits.
    """
    rows, columns = matrix.shape
    count = -(-columns // size)
    if count * size != columns:
        matrix = np.pad(matrix, ((0, 0), (0, count * size - columns)))
    grouped = matrix.reshape(rows, count, size)
    middle = 1 << (bits - 1)
    low, high = grouped.min(-1, keepdims=True), grouped.max(-1, keepdims=True)
    scale = (np.where(-low > high, low, high) / np.float32(-middle)).astype(np.float32)
    scale[scale == 0] = 1
    values = np.clip(np.rint(grouped / scale), -middle, middle - 1).astype(np.int16) + middle
    packed = values.astype(np.uint8)
    if bits == 4:
        packed = packed[..., 0::2] | (packed[..., 1::2] << np.uint8(4))
    return packed, scale[..., 0]
