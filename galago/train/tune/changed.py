"""What a training changed, tensor by tensor, under the names of files.

Nothing is held: each tensor is merged, and gathered where FSDP has it in shards, when it is asked
for.  Gathering takes all processes, so that all of them must ask for the same tensors in the same
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from peft.tuners.lora import LoraLayer

from galago.checkpoints.names import PROJECTOR, VISION, text_shapes, timm_to_llava
from galago.checkpoints.tensors import Float
from galago.train.tune.learner import Learner
from galago.train.tune.shards import gathered

__all__ = ["Lazy", "changed", "matrices", "whole_parts"]


class Lazy(Mapping[str, Float]):
    """Names, and float32 arrays that are computed whenever they are read."""

    def __init__(self, make: Mapping[str, Callable[[], torch.Tensor]]) -> None:
        self._make = make

    def __getitem__(self, name: str) -> Float:
        with torch.no_grad():
            found = self._make[name]()
        return np.asarray(found.detach().float().cpu().numpy(), np.float32)

    def __contains__(self, name: object) -> bool:
        return name in self._make

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


def changed(learner: Learner) -> Lazy:
    """Canonical names and merged weights of every tensor that training may change."""
    found = dict(_whole(learner))
    known = text_shapes(learner.spec.text)
    for name, tensor in learner.decoder.named_parameters():
        if tensor.requires_grad and name in known:
            found[name] = _reader(tensor)
    for name, module in learner.decoder.named_modules():
        if isinstance(module, LoraLayer):
            found[f"{name}.weight"] = _merger(module)
    return Lazy(found)


def whole_parts(learner: Learner) -> Lazy:
    """As `changed`, of the projector and the trunk alone."""
    return Lazy(dict(_whole(learner)))


def matrices(learner: Learner) -> Lazy:
    """What LoRA learnt: the decoder's canonical names with lora_A and lora_B."""
    return Lazy({
        name.replace(".default.", "."): _reader(tensor)
        for name, tensor in learner.decoder.named_parameters()
        if ".lora_" in name
    })  # fmt: skip


def _whole(learner: Learner) -> Iterator[tuple[str, Callable[[], torch.Tensor]]]:
    if learner.trunk is not None and next(learner.trunk.parameters()).requires_grad:
        for name, tensor in learner.trunk.net.named_parameters():
            yield VISION + timm_to_llava(name, learner.spec.vision), _reader(tensor)
    for name, tensor in learner.projector.named_parameters():
        if tensor.requires_grad:
            yield PROJECTOR + name, _reader(tensor)


def _reader(tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: gathered(tensor)


def _merger(module: LoraLayer) -> Callable[[], torch.Tensor]:
    def merged() -> torch.Tensor:
        down = gathered(module.lora_A["default"].weight).float()
        up = gathered(module.lora_B["default"].weight).float()
        base = gathered(module.get_base_layer().weight).float()
        return base + (up @ down) * module.scaling["default"]

    return merged
