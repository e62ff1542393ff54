"""The operations that FastVLM's networks are described with, whatever format they are written in.

`trunk` and `decoder` call these; `onnx_writer` puts them into ONNX.  Values are what a format's
writer passes around (names in ONNX).  Weights come as float32 arrays and are stored as the writer
was told; their names are the folded ones (galago/engine/folding.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from galago.checkpoints.tensors import Float

__all__ = ["Get", "Writer"]

V = TypeVar("V")
Get = Callable[[str], Float]  # a float32 array by its name


class Writer(Protocol[V]):
    """A graph being written.  Shapes: B batch, C channels, H x W map, N tokens, T new tokens."""

    def convolution(self, x: V, name: str, get: Get, *, stride: int = 1, groups: int = 1) -> V:
        """(B, C, H, W), "same" padding for odd kernels, with `name`.bias."""
        ...

    def linear(self, x: V, name: str, get: Get, *, bias: bool = True) -> V:
        """x @ W.T + b over the last axis."""
        ...

    def layer_norm(self, x: V, name: str, get: Get, eps: float) -> V:
        """Over the last axis, with gain and shift."""
        ...

    def add(self, x: V, y: V) -> V: ...

    def multiply(self, x: V, y: V) -> V: ...

    def gelu(self, x: V) -> V:
        """The exact (erf) GELU."""
        ...

    def relu(self, x: V) -> V: ...

    def sigmoid(self, x: V) -> V: ...

    def mean(self, x: V) -> V:
        """(B, C, H, W) -> (B, C, 1, 1)"""
        ...

    def tokens(self, x: V, channels: int) -> V:
        """(B, C, H, W) -> (B, H * W, C), row by row from the top left."""
        ...

    def map_like(self, x: V, like: V) -> V:
        """The inverse: (B, N, C) -> the shape of `like`."""
        ...

    def attention(self, joint: V, width: int, heads: int) -> V:
        """(B, N, 3 * width), queries before keys before values -> (B, N, width)."""
        ...

    def mark(self, name: str, x: V) -> V:
        """A point between two stages: from here on another element type may be used."""
        ...
