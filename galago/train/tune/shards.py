"""A model in shards over several processes (FSDP2), so that one that no device holds can learn.

accelerate shards it: each of the decoder's layers, and the rest together.  What is read of its
parameters, and set, is whole tensors, one at a time.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from galago.errors import OptionError

__all__ = [
    "LAYER",
    "any_of_us",
    "check_shards",
    "gathered",
    "in_shards",
    "open_way",
    "put",
    "settle",
    "shard",
]

LAYER = "Qwen2DecoderLayer"


def check_shards(processes: int) -> None:
    """OptionError where --fsdp can't be: alone, and with the FSDP that torch has given up."""
    if processes < 2:
        raise OptionError(
            "--fsdp divides the model among several processes: start them with torchrun "
            "--nproc-per-node N -m galago finetune …, or accelerate launch"
        )
    if os.environ.get("FSDP_VERSION", "2") != "2":
        raise OptionError("galago shards by FSDP2: give accelerate launch --fsdp_version 2")


def shard(accelerator: Any, plugin: dict[str, Any]) -> None:
    """Let accelerate shard on CPUs too, where it takes FSDP for DDP without a word."""
    state = accelerator.state
    if getattr(state, "fsdp_plugin", None) is None:
        state.fsdp_plugin = FullyShardedDataParallelPlugin(**plugin)
        for shared in (state._shared_state, PartialState._shared_state):
            shared["distributed_type"] = DistributedType.FSDP


def in_shards(model: nn.Module) -> bool:
    """Whether the model's parameters are divided among the processes."""
    return isinstance(model, FSDPModule)


def open_way(model: nn.Module, method: str) -> None:
    """Let a method besides `forward` be called from outside: what it uses is gathered for it."""
    if in_shards(model):
        register_fsdp_forward_method(model, method)


def settle(model: nn.Module) -> None:
    """Behind a forward pass alone some parameters are still gathered: keep the shards again."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor whole on this device; of shards by all processes together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor  # type: ignore[no-any-return]


@torch.no_grad()
def put(parameter: torch.Tensor, value: torch.Tensor) -> None:
    """Set a parameter; of shards each process keeps its own."""
    if isinstance(parameter, DTensor):
        whole = value.to(parameter.device, parameter.dtype)
        value = distribute_tensor(whole, parameter.device_mesh, parameter.placements)
    parameter.copy_(value)


def any_of_us(flag: bool, device: torch.device) -> bool:
    """Whether one of the processes says so: what all do together is decided together."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return flag
    told = torch.tensor(float(flag), device=device)
    torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
    return bool(told.item())
