"""The networks in training: timm's FastViT, transformers' Qwen2, and heads that warm them up."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers import LayerNorm2d
from timm.models.fastvit import FastVit, RepConditionalPosEnc
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from galago.checkpoints.vlm_config import text_to_json
from galago.train.nano.config import TextConfig, VisionConfig
from galago.train.nano.data.render import CELL, CHARACTERS
from galago.train.nano.depthwise import quicken

CELL_LABELS = len(CHARACTERS) + 1  # and "no character"
JOINTS = 21  # landmarks of a hand
JOINT_CELL = 32  # px: how exactly a read-out says where one lies
STRIDE = 64
PIXEL_MEAN, PIXEL_STD = 0.5, 0.25  # centred pixels learn faster than 0..1


def build_trunk(config: VisionConfig) -> FastVit:
    """A FastViTHD of the given size: five stages, stride 64, single-branch (already fused) blocks.

    Single-branch training is a third faster on a CPU; the re-parameterised branches of the paper
    mostly help large models trained for long.
    """
    position = partial(RepConditionalPosEnc, spatial_shape=(7, 7))
    trunk = FastVit(
        layers=config.depths,
        embed_dims=config.widths,
        mlp_ratios=config.mlp_ratios,
        downsamples=(False, True, True, True, True),
        se_downsamples=(False,) * 5,
        pos_embs=(None, None, None, position, position),
        token_mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
        lkc_use_act=True,
        norm_layer=partial(LayerNorm2d, eps=1e-5),
        stem_use_scale_branch=False,
        layer_scale_init_value=config.layer_scale,
        inference_mode=True,
        num_classes=0,
        global_pool="",
    )
    _initialise(trunk)
    quicken(trunk)
    for module in trunk.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # at some dozen tokens plain products are quicker
    return trunk


@torch.no_grad()
def _initialise(trunk: FastVit) -> None:
    """Every fused convolution gets a batch norm to train with; publishing folds it in again.

    Without norms a single-branch trunk hardly learns: the paper's branches have one each. A fused
    token mixer has its skip connection inside the kernel, so it starts as the identity, or
    gradients vanish within three stages.
    """
    for name, module in list(trunk.named_modules()):
        fused = getattr(module, "reparam_conv", None)
        if not isinstance(fused, nn.Conv2d):
            continue
        nn.init.kaiming_normal_(fused.weight, nonlinearity="relu")
        if name.endswith(("token_mixer", "pos_emb")):
            noise = fused.weight * 0.1
            nn.init.dirac_(fused.weight, groups=fused.groups)
            fused.weight += noise
        fused.bias = None
        module.reparam_conv = nn.Sequential()
        module.reparam_conv.add_module("conv", fused)
        module.reparam_conv.add_module("norm", nn.BatchNorm2d(fused.out_channels))


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) uint8 -> what the trunk takes, as the published ImageSpec says."""
    return pixels.float().mul_(1 / (255 * PIXEL_STD)).sub_(PIXEL_MEAN / PIXEL_STD)


class EncoderHeads(nn.Module):
    """The direct losses' linear read-outs; not published: only the trunk is."""

    def __init__(self, config: VisionConfig, classes: dict[str, int], teacher: int) -> None:
        super().__init__()
        tokens = config.widths[-1] * 2
        self.norm = nn.LayerNorm(tokens)
        self.pooled = nn.ModuleDict({kind: nn.Linear(tokens, n) for kind, n in classes.items()})
        self.teacher = nn.Linear(tokens, teacher)
        stages = {"early": config.widths[2], "middle": config.widths[3], "cells": tokens}
        labels = CELL_LABELS + 1
        self.letters = nn.ModuleDict(
            {name: nn.Linear(width, _cells(name) ** 2 * labels) for name, width in stages.items()}
        )
        self.joints = nn.ModuleDict()
        if "fingers" in classes:
            self.joints["middle"] = nn.Linear(stages["middle"], JOINTS)
            self.joints["cells"] = nn.Linear(tokens, (STRIDE // JOINT_CELL) ** 2 * JOINTS)

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) features -> (B, C), normalised: what the whole picture shows."""
        return self.norm(features.mean((2, 3)))  # type: ignore[no-any-return]

    def cell_logits(self, features: torch.Tensor, name: str) -> torch.Tensor:
        """(B, C, h, w) features -> (B, rows, columns, labels + 1): what stands in each cell."""
        return self._spread(features, name, self.letters[name], _cells(name))

    def joint_logits(self, features: torch.Tensor, name: str) -> torch.Tensor:
        """(B, C, h, w) features -> (B, rows, columns, JOINTS): where each landmark lies."""
        n = STRIDE // JOINT_CELL if name == "cells" else 1
        return self._spread(features, name, self.joints[name], n)

    def _spread(
        self, features: torch.Tensor, name: str, readout: nn.Module, n: int
    ) -> torch.Tensor:
        """A read-out of each position that speaks of n x n cells, as one map of cells."""
        b, _, h, w = features.shape
        channels_last = features.permute(0, 2, 3, 1)
        flat = readout(self.norm(channels_last) if name == "cells" else channels_last).float()
        each = flat.shape[-1] // (n * n)
        split = flat.reshape(b, h, w, n, n, each)
        return split.permute(0, 1, 3, 2, 4, 5).reshape(b, h * n, w * n, each)


def _cells(name: str) -> int:
    """Cells along one position of the third stage, of the fourth, or of the tokens."""
    return {"early": 16, "middle": 32, "cells": STRIDE}[name] // CELL


def build_projector(vision: VisionConfig, text: TextConfig) -> nn.Sequential:
    """FastVLM's mlp2x_gelu: from the trunk's features to the decoder's width."""
    width = vision.widths[-1] * 2
    return nn.Sequential(
        nn.Linear(width, text.hidden), nn.GELU(), nn.Linear(text.hidden, text.hidden)
    )


def build_language(text: TextConfig) -> Qwen2ForCausalLM:
    """A Qwen2 decoder with fresh weights."""
    return Qwen2ForCausalLM(qwen2_config(text))


def qwen2_config(text: TextConfig) -> Qwen2Config:
    details: dict[str, Any] = {
        **text_to_json(text.spec),
        "max_position_embeddings": 2048,
        "attn_implementation": "eager",  # torch's fused one is slow backwards at 80 tokens
    }
    return Qwen2Config(**details)
