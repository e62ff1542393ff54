"""A checkpoint that tells how much of it was read: how far a graph is that is written from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from galago.checkpoints.tensors import Tensor
from galago.checkpoints.vlm import Checkpoint

__all__ = ["watched"]


def watched(source: Checkpoint, tell: Callable[[float], None]) -> Checkpoint:
    """The same checkpoint; `tell` is called with the share (0..1) of its numbers that were asked
    for before, whenever a tensor is asked for."""
    return replace(source, tensors=_Watched(source.tensors, tell))


class _Watched(Mapping[str, Tensor]):
    def __init__(self, tensors: Mapping[str, Tensor], tell: Callable[[float], None]) -> None:
        self._tensors, self._tell = tensors, tell
        self._sizes = {name: math.prod(tensor.shape) for name, tensor in tensors.items()}
        self._total, self._asked = sum(self._sizes.values()), 0

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        self._tell(self._asked / self._total)
        self._asked += self._sizes.pop(name, 0)  # a tied table is asked for twice
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
