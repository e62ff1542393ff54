"""The model in training: FastVLM's parts in PyTorch, by galago's names, and what of them learns.

One path for every published layout: weights come from a Checkpoint by their canonical names and go
back by them (galago.train.tune.changed).  The decoder is transformers' Qwen2, LoRA is peft's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.initialization import no_init_weights

from galago.checkpoints.names import PROJECTOR, text_shapes
from galago.checkpoints.tensors import read_float
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

    def say(self, embeds: torch.Tensor, takes: torch.Tensor) -> torch.Tensor:
        """Embeddings (T, hidden) -> logits (n, vocab) at the positions `takes`."""
        table = self.decoder.get_input_embeddings().weight
        embeds = embeds[None].to(table.device, table.dtype)
        hidden = self.decoder.model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        return self.decoder.lm_head(hidden[0, takes.to(table.device)])  # type: ignore[no-any-return]

    def probe(
        self, pictures: torch.Tensor, embeds: torch.Tensor, takes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What `look` and `say` give; a way in of its own, so that FSDP gathers what they use."""
        return self.look(pictures), self.say(embeds, takes)

    # -- what was learnt ---------------------------------------------------------------------------

    def learnt(self) -> dict[str, nn.Parameter]:
        """Every parameter that learns, by its name here."""
        return {n: p for n, p in self.named_parameters() if p.requires_grad}

    def counts(self) -> tuple[int, int]:
        """How many numbers learn, and how many there are."""
        every = [(p.numel(), p.requires_grad) for p in self.parameters()]
        return sum(n for n, learns in every if learns), sum(n for n, _ in every)


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
