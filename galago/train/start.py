"""Start from a published model instead of from nothing.

Publishing folds batch norms into convolutions; training needs them apart. Each folded convolution
is scaled to the size of a fresh one and its norm set, from a batch of pictures, to undo that: the
trunk computes what it computed when it was published, and learns like one that never was.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from galago import layout, quantise
from galago.checkpoint import Checkpoint, open_checkpoint
from galago.errors import CheckpointError
from galago.specs import FastViTSpec
from galago.train.config import TrainConfig
from galago.train.direct import DirectModel
from galago.train.publish import text_spec, vision_spec


@torch.no_grad()
def start_from(folder: Path, config: TrainConfig, model: DirectModel, pixels: torch.Tensor) -> None:
    """Copy the folder's trunk (and projector and decoder, where `model` has them) into `model`.

    `pixels` (B, 3, H, W), as the trunk takes them: the pictures that settle the norms.
    CheckpointError when the folder's model has another shape than the config's.
    """
    checkpoint = open_checkpoint(folder)
    spec = vision_spec(config)
    if (checkpoint.spec.vision, checkpoint.spec.text) != (spec, text_spec(config)):
        raise CheckpointError(f"{folder} has another shape than {config.name}; start from its like")
    for part, module in model.named_children():
        if part == "heads":
            continue
        for name, tensor in module.state_dict().items():
            plain = name.replace(".reparam_conv.conv.", ".reparam_conv.")
            if ".reparam_conv.norm." in name or name.endswith("num_batches_tracked"):
                continue
            canonical = {
                "trunk": layout.VISION + layout.timm_to_llava(plain, spec),
                "projector": layout.PROJECTOR + plain,
                "language": "model.embed_tokens.weight" if plain == "lm_head.weight" else plain,
            }[part]
            tensor.copy_(_read(checkpoint, canonical))
    _unfold(model.trunk, checkpoint, spec, pixels)


def _read(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    return torch.from_numpy(quantise.read_float(checkpoint.tensors[name]).copy())


def _unfold(
    trunk: nn.Module, checkpoint: Checkpoint, spec: FastViTSpec, pixels: torch.Tensor
) -> None:
    def settle(name: str, pair: nn.Sequential) -> None:
        conv, norm = pair[0], pair[1]
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        bias = _read(checkpoint, layout.VISION + layout.timm_to_llava(f"{name}.bias", spec))
        rows = conv.weight.flatten(1).norm(dim=1)
        size = (2.0 if "token_mixer" not in name and "pos_emb" not in name else 1.0) ** 0.5
        gain = rows.clamp_min(1e-6) / size
        conv.weight /= gain[:, None, None, None]

        def measure(_: nn.Module, taken: tuple[torch.Tensor, ...]) -> None:
            seen = taken[0]
            norm.running_mean = seen.mean((0, 2, 3))
            norm.running_var = seen.var((0, 2, 3), unbiased=False)
            spread = (norm.running_var + norm.eps).sqrt()
            norm.weight.copy_(gain * spread)
            norm.bias.copy_(bias + gain * norm.running_mean)

        hooks.append(norm.register_forward_pre_hook(measure))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for name, module in trunk.named_modules():
        if name.endswith(".reparam_conv") and isinstance(module, nn.Sequential):
            settle(name, module)
    trunk.eval()
    trunk(pixels)
    trunk.train()
    for hook in hooks:
        hook.remove()
