"""The trunk as a PyTorch module that can learn: fused, as FastViTHD is published."""

from __future__ import annotations

from functools import partial

import torch
from timm.layers import LayerNorm2d
from timm.models.fastvit import FastVit, RepConditionalPosEnc
from torch import nn

from galago.checkpoints.names import VISION, llava_to_timm, vision_shapes
from galago.checkpoints.tensors import read_float
from galago.checkpoints.vlm import Checkpoint
from galago.specs import FastViTSpec
from galago.train.nano.depthwise import quicken

__all__ = ["Trunk"]


class Trunk(nn.Module):
    """Pixels (B, 3, H, W) -> features (B, T, C), row by row from the top left.

    Batch norms keep their published statistics: batches of fine-tuning are small.
    """

    def __init__(self, spec: FastViTSpec) -> None:
        super().__init__()
        self.spec = spec
        self.net = _network(spec)

    @classmethod
    def of(cls, source: Checkpoint) -> Trunk:
        """With the checkpoint's weights."""
        trunk = cls(source.spec.vision)
        held = {
            llava_to_timm(name, trunk.spec): torch.from_numpy(
                read_float(source.tensors[VISION + name]).copy()
            )
            for name in vision_shapes(trunk.spec)
        }
        left = trunk.net.load_state_dict(held, strict=False)
        assert not left.unexpected_keys, left.unexpected_keys
        assert all(name.endswith("num_batches_tracked") for name in left.missing_keys), left
        if not torch.cuda.is_available():
            quicken(trunk.net)
        return trunk

    def train(self, mode: bool = True) -> Trunk:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.net.forward_features(pixel_values).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


def _network(spec: FastViTSpec) -> FastVit:
    position = partial(RepConditionalPosEnc, spatial_shape=(7, 7))
    stages = len(spec.depths)
    return FastVit(
        layers=spec.depths,
        embed_dims=spec.widths,
        mlp_ratios=spec.mlp_ratios,
        downsamples=(False, *[True] * (stages - 1)),
        se_downsamples=spec.se_downsamples,
        pos_embs=tuple(position if mixer == "attention" else None for mixer in spec.mixers),
        token_mixers=spec.mixers,
        cls_ratio=spec.exp_ratio,
        lkc_use_act=spec.downsample_act,
        norm_layer=partial(LayerNorm2d, eps=1e-5) if spec.norm == "layer" else nn.BatchNorm2d,
        stem_use_scale_branch=spec.norm == "batch",
        inference_mode=True,
        num_classes=0,
        global_pool="",
    )
