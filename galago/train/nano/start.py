"""Start from a published model instead of from nothing.

Publishing folds batch norms into convolutions (folding.py); training needs them apart. Each folded
convolution is scaled to the size of a fresh one and its norm set, from a batch of pictures, to undo
that: the trunk computes what it computed when it was published, and learns like one that never was.

A two-tower model may start from a vision-language one and the other way round: then it is the trunk
that is taken over, as FastViTHD was from its CLIP training (arXiv 2412.13303).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.folders import CLIP_CONFIG
from galago.checkpoints.names import CLIP_TRUNK, PROJECTOR, VISION, timm_to_llava
from galago.checkpoints.tensors import Stored, read_float
from galago.checkpoints.vlm import open_checkpoint
from galago.errors import CheckpointError

Names = Callable[[str], str]  # torch's name in the trunk -> the folder's


@torch.no_grad()
def start_from(folder: Path, model: nn.Module, pixels: torch.Tensor) -> None:
    """Copy the folder's trunk, and what else both have (projector and decoder, or text tower).

    `pixels` (B, 3, H, W), as the trunk takes them: the pictures that settle the norms.
    CheckpointError when the folder's model has another shape than `model`.
    """
    tensors, trunk_name, parts = _published(folder)
    for part, module in model.named_children():
        if part != "trunk" and part not in parts:
            continue
        for name, tensor in module.state_dict().items():
            plain = name.replace(".reparam_conv.conv.", ".reparam_conv.")
            if ".reparam_conv.norm." in name or name.endswith("num_batches_tracked"):
                continue
            there = trunk_name(plain) if part == "trunk" else parts[part](plain)
            if there not in tensors or tuple(tensors[there].shape) != tuple(tensor.shape):
                raise CheckpointError(f"{folder} has another shape ({there}); start from its like")
            tensor.copy_(_read(tensors, there))
    if "logit_scale" in tensors and hasattr(model, "logit_scale"):
        model.logit_scale.copy_(_read(tensors, "logit_scale"))
    trunk = model.get_submodule("trunk")
    _unfold(trunk, lambda name: _read(tensors, trunk_name(name)), pixels)


def start_tokenizer(start: Path | None, out: Path) -> bool:
    """Copy a start's tokenizer to `out`/tokenizer.json; False if it has no decoder to speak with.

    A decoder knows words by their numbers: built anew, from one label more, they mean other words.
    """
    if start is None or (start / CLIP_CONFIG).is_file():
        return False
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(start / "tokenizer.json", out / "tokenizer.json")
    return True


def _published(folder: Path) -> tuple[Mapping[str, Stored], Names, dict[str, Names]]:
    """A folder's tensors, how its trunk's are named, and the names of its other parts."""
    if (folder / CLIP_CONFIG).is_file():
        clip = open_clip_checkpoint(folder)
        parts: dict[str, Names] = {
            "text": lambda name: "text." + name.replace(".in_proj_", ".in_proj."),
            "project": lambda name: f"{CLIP_TRUNK}head.fc.{name}",
        }
        return clip.tensors, lambda name: CLIP_TRUNK + name, parts
    checkpoint = open_checkpoint(folder)
    spec = checkpoint.spec.vision
    tied = {"lm_head.weight": "model.embed_tokens.weight"}
    parts = {
        "projector": lambda name: PROJECTOR + name,
        "language": lambda name: tied.get(name, name),
    }
    names = lambda name: VISION + timm_to_llava(name, spec)  # noqa: E731
    return checkpoint.tensors, names, parts


def _read(tensors: Mapping[str, Stored], name: str) -> torch.Tensor:
    return torch.from_numpy(read_float(tensors[name]).copy())


def _unfold(trunk: nn.Module, read: Callable[[str], torch.Tensor], pixels: torch.Tensor) -> None:
    def settle(name: str, pair: nn.Sequential) -> None:
        conv, norm = pair[0], pair[1]
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        bias = read(f"{name}.bias")
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
