"""The networks in training: timm's FastViT, transformers' Qwen2, and the heads that warm them up."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers import LayerNorm2d
from timm.models.fastvit import FastVit, RepConditionalPosEnc
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from galago.train.config import TextConfig, VisionConfig
from galago.train.render import CELL_HEIGHT, CELL_WIDTH, CHARACTERS

CELL_LABELS = len(CHARACTERS) + 1  # and "no character"
STRIDE = 64


def build_trunk(config: VisionConfig) -> FastVit:
    """A FastViTHD of the given size: five stages, stride 64, single-branch (already fused) blocks.

    Single-branch training is a third faster on a CPU; the re-parameterised branches of the paper
    mostly help large models trained for long.
    """
    position = partial(RepConditionalPosEnc, spatial_shape=(7, 7))
    return FastVit(
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


class EncoderHeads(nn.Module):
    """The direct losses' linear read-outs; thrown away when the language model takes over."""

    def __init__(self, config: VisionConfig, classes: dict[str, int], teacher: int) -> None:
        super().__init__()
        tokens = config.widths[-1] * 2
        self.pooled = nn.ModuleDict({kind: nn.Linear(tokens, n) for kind, n in classes.items()})
        self.teacher = nn.Linear(tokens, teacher)
        cells = (STRIDE // CELL_HEIGHT) * (STRIDE // CELL_WIDTH)
        self.cells = nn.Linear(tokens, cells * (CELL_LABELS + 1))
        early = (16 // CELL_HEIGHT) * (16 // CELL_WIDTH)
        self.early_cells = nn.Linear(config.widths[2], early * (CELL_LABELS + 1))

    def cell_logits(self, features: torch.Tensor, early: bool) -> torch.Tensor:
        """(B, C, h, w) features -> (B, rows, columns, labels + 1): what stands in each cell."""
        head, stride = (self.early_cells, 16) if early else (self.cells, STRIDE)
        rows, columns = stride // CELL_HEIGHT, stride // CELL_WIDTH
        b, _, h, w = features.shape
        flat = head(features.permute(0, 2, 3, 1)).float()
        split = flat.reshape(b, h, w, rows, columns, CELL_LABELS + 1)
        return split.permute(0, 1, 3, 2, 4, 5).reshape(b, h * rows, w * columns, CELL_LABELS + 1)


class VisionLanguage(nn.Module):
    """Trunk, projector and decoder, as FastVLM joins them (mlp2x_gelu)."""

    def __init__(self, vision: VisionConfig, text: TextConfig, vocab: int) -> None:
        super().__init__()
        self.trunk = build_trunk(vision)
        width = vision.widths[-1] * 2
        self.projector = nn.Sequential(
            nn.Linear(width, text.hidden), nn.GELU(), nn.Linear(text.hidden, text.hidden)
        )
        self.language = Qwen2ForCausalLM(qwen2_config(text, vocab))

    def image_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in 0..1 -> (B, H·W / 64², hidden)."""
        features = self.trunk.forward_features(pixels)
        return self.projector(features.flatten(2).transpose(1, 2))  # type: ignore[no-any-return]

    def forward(
        self,
        pixels: torch.Tensor,
        ids: torch.Tensor,
        slots: torch.Tensor,
        positions: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (N, vocab) at the `positions` (N, 2) of (row, column) that predict an answer.

        `ids` (B, T) has the picture's places marked by `slots` (B, T) bool, as many as tokens.
        """
        embeds = self.language.get_input_embeddings()(ids)
        tokens = self.image_tokens(pixels).to(embeds.dtype)
        embeds = embeds.masked_scatter(slots[..., None], tokens)
        hidden = self.language.model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        wanted = hidden[positions[:, 0], positions[:, 1]]
        return self.language.lm_head(wanted).float()  # type: ignore[no-any-return]


def qwen2_config(text: TextConfig, vocab: int) -> Qwen2Config:
    details: dict[str, Any] = {
        "hidden_size": text.hidden,
        "intermediate_size": text.intermediate,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.kv_heads,
        "vocab_size": vocab,
        "rope_theta": 1e6,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "max_position_embeddings": 2048,
        "attn_implementation": "sdpa",
    }
    return Qwen2Config(**details)
