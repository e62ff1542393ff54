"""The model in training: FastVLM's parts in PyTorch, by galago's names, and what of them learns.

One path for every published layout: weights come from a Checkpoint by their canonical names and go
back by them (`changed`).  The decoder is transformers' Qwen2, LoRA is peft's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.initialization import no_init_weights

from galago.checkpoints.names import PROJECTOR, VISION, text_shapes, timm_to_llava
from galago.checkpoints.tensors import Float, read_float
from galago.checkpoints.vlm import Checkpoint
from galago.checkpoints.vlm_config import text_to_json
from galago.train.tune.options import TuneOptions
from galago.train.tune.trunk import Trunk

__all__ = ["LINEAR", "Learner", "lora_config"]

IGNORED = -100
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Learner(nn.Module):
    """Projector and decoder, and the trunk where it learns or features aren't kept."""

    accepts_loss_kwargs = True  # the Trainer gives the count of what a whole step learns

    def __init__(self, source: Checkpoint, options: TuneOptions) -> None:
        super().__init__()
        self.spec, self.lora = source.spec, options.lora
        text, widths = source.spec.text, source.spec.projector
        self.trunk = None if options.keeps_features else Trunk.of(source)
        self.projector = nn.Sequential(
            nn.Linear(source.spec.vision.features, widths[0]),
            nn.GELU(),
            nn.Linear(widths[0], widths[1]),
        )
        config = {**text_to_json(text), "max_position_embeddings": text.positions}
        with no_init_weights():
            self.decoder = Qwen2ForCausalLM(Qwen2Config(**config))
        self.decoder.tie_weights()  # which no_init_weights passes over
        self._load(source)
        self._choose(options)

    @torch.no_grad()
    def _load(self, source: Checkpoint) -> None:
        for name, parameter in self.projector.named_parameters():
            parameter.copy_(torch.from_numpy(read_float(source.tensors[PROJECTOR + name]).copy()))
        held = dict(self.decoder.named_parameters())
        for name in text_shapes(source.spec.text):
            held[name].copy_(torch.from_numpy(read_float(source.tensors[name]).copy()))

    def _choose(self, options: TuneOptions) -> None:
        """What learns, in float32; what doesn't may be narrower (`narrow`)."""
        self.requires_grad_(False)
        if "vision" in options.parts and self.trunk is not None:
            self.trunk.requires_grad_(True)
        if "projector" in options.parts:
            self.projector.requires_grad_(True)
        if options.full:
            self.decoder.requires_grad_(True)
        elif options.lora:
            inject_adapter_in_model(lora_config(options.rank), self.decoder)
        if options.checkpointing:
            self.decoder.gradient_checkpointing_enable({"use_reentrant": False})
            if self.trunk is not None:
                self.trunk.net.set_grad_checkpointing(True)

    def narrow(self) -> None:
        """What doesn't learn in bfloat16: half the memory; not the trunk, whose norms stay wide."""
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad and not name.startswith("trunk."):
                parameter.data = parameter.data.to(torch.bfloat16)

    # -- running -----------------------------------------------------------------------------------

    def forward(
        self,
        ids: torch.Tensor,
        slots: torch.Tensor,
        seen: torch.Tensor,
        labels: torch.Tensor,
        pictures: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **_: Any,
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch; `galago.train.tune.batches` says the shapes.

        Only positions that are learnt meet the output layer: logits of a whole picture's tokens
        would take more memory than the rest.
        """
        embeds = self.embed(ids, slots, pictures)
        hidden = self.decoder.model(
            inputs_embeds=embeds, attention_mask=seen, use_cache=False
        ).last_hidden_state
        wanted = labels[:, 1:] != IGNORED
        logits = self.decoder.lm_head(hidden[:, :-1][wanted]).float()  # (N, vocab)
        total = F.cross_entropy(logits, labels[:, 1:][wanted], reduction="sum")
        count = wanted.sum() if num_items_in_batch is None else num_items_in_batch
        return {"loss": total / count}

    def embed(
        self, ids: torch.Tensor, slots: torch.Tensor, pictures: torch.Tensor | None
    ) -> torch.Tensor:
        """What the decoder reads: embeddings (B, T, hidden) with pictures in their slots."""
        embeds = self.decoder.get_input_embeddings()(ids)
        if pictures is None:
            return embeds  # type: ignore[no-any-return]
        tokens = self.look(pictures).to(embeds.dtype)
        return embeds.masked_scatter(slots[..., None], tokens)  # type: ignore[no-any-return]

    def look(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pixel values (P, 3, H, W), or kept features (P, T, C) -> tokens (P, T, hidden)."""
        if pictures.ndim == 4:
            assert self.trunk is not None
            pictures = self.trunk(pictures)
        return self.projector(pictures.to(self.projector[0].weight.dtype))  # type: ignore[no-any-return]

    # -- what was learnt ---------------------------------------------------------------------------

    def learnt(self) -> dict[str, nn.Parameter]:
        """Every parameter that learns, by its name here."""
        return {n: p for n, p in self.named_parameters() if p.requires_grad}

    def counts(self) -> tuple[int, int]:
        """How many numbers learn, and how many there are."""
        every = [(p.numel(), p.requires_grad) for p in self.parameters()]
        return sum(n for n, learns in every if learns), sum(n for n, _ in every)

    def adapter(self) -> dict[str, torch.Tensor]:
        """LoRA's own matrices, as peft stores them but without its prefix."""
        return dict(get_peft_model_state_dict(self.decoder)) if self.lora else {}

    @torch.no_grad()
    def changed(self) -> Iterator[tuple[str, Float]]:
        """Canonical names and merged weights, float32, of every tensor that training may change."""
        if self.trunk is not None and next(self.trunk.parameters()).requires_grad:
            for name, tensor in self.trunk.net.named_parameters():
                yield VISION + timm_to_llava(name, self.spec.vision), _array(tensor)
        for name, tensor in self.projector.named_parameters():
            if tensor.requires_grad:
                yield PROJECTOR + name, _array(tensor)
        known = text_shapes(self.spec.text)
        for name, tensor in self.decoder.named_parameters():
            if tensor.requires_grad and name in known:
                yield name, _array(tensor)
        for name, module in self.decoder.named_modules():
            if isinstance(module, LoraLayer):
                base = module.get_base_layer().weight
                delta = module.get_delta_weight("default")
                yield f"{name}.weight", _array(base.float() + delta.float())


def lora_config(rank: int) -> LoraConfig:
    """Of the decoder's linear layers but the head, as LLaVA has it; no dropout, which a step on two
    devices and two steps on one would draw differently."""
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=list(LINEAR),
        task_type="CAUSAL_LM",
    )


def _array(tensor: torch.Tensor) -> Float:
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)
