"""The stages in which the projector and the language model learn to speak of what the trunk sees.

The loss is the answer's cross entropy. While the trunk learns too, the direct losses of stage one
go on at the weight that the stage gives them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from galago.specs import PromptSpec
from galago.text.chat import ImageSlot, Message, chat_pieces
from galago.text.tokens import Tokenizer, load_tokenizer
from galago.train.nano.arithmetic import autocast
from galago.train.nano.config import StageConfig, TrainConfig
from galago.train.nano.data.tasks import KINDS, Sample, Tasks
from galago.train.nano.data.words import Spoken, speak
from galago.train.nano.model import STRIDE, build_language, build_projector, normalised
from galago.train.nano.vlm import direct
from galago.train.nano.vlm.direct import Batch, DirectModel


class VisionLanguageModel(DirectModel):
    """Trunk, projector and decoder as FastVLM joins them (mlp2x_gelu), and the warm-up heads."""

    def __init__(self, config: TrainConfig, tasks: Tasks, stage: StageConfig) -> None:
        super().__init__(config, tasks)
        self.projector = build_projector(config.vision, config.text)
        self.language = build_language(config.text)
        self.teaches = needs_teacher(stage)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The answer's loss, also by kind, and the direct losses when the trunk learns."""
        pixels = normalised(batch["pixels"])
        losses: dict[str, torch.Tensor] = {}
        if self.teaches:
            features, (early, middle) = self.trunk.forward_intermediates(pixels, indices=[2, 3])
            maps = {"early": early, "middle": middle, "cells": features}
            losses = self.direct_losses(maps, batch)
        else:
            features = self.trunk.forward_features(pixels)
        logits = self.answer_logits(features[batch["asked"]], batch)
        each = F.cross_entropy(logits, batch["targets"], reduction="none")
        # A long answer counts more than a short one, but not in proportion to its letters.
        losses["answer"] = (each * batch["weights"]).sum() / batch["weights"].sum()
        for kind in KINDS:
            chosen = batch["kinds"] == KINDS.index(kind)
            if chosen.any():
                losses[f"answer_{kind}"] = each[chosen].mean().detach()
        return losses

    def answer_logits(self, features: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Logits (N, vocab) at the places that predict an answer's tokens."""
        embeds = self.language.get_input_embeddings()(batch["ids"])
        tokens = self.projector(features.flatten(2).transpose(1, 2))  # (B, T, hidden)
        embeds = embeds.masked_scatter(batch["slots"][..., None], tokens.to(embeds.dtype))
        hidden = self.language.model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        rows, columns = batch["places"].unbind(1)
        return self.language.lm_head(hidden[rows, columns]).float()  # type: ignore[no-any-return]


def needs_teacher(stage: StageConfig) -> bool:
    """Whether the trunk hears the direct losses, a teacher's features among them."""
    return stage.loss == "direct" or ("trunk" in stage.trains and stage.direct > 0)


def total(losses: dict[str, torch.Tensor], direct_weight: float) -> torch.Tensor:
    kept = {k: v for k, v in losses.items() if not k.startswith("answer")}
    return losses["answer"] + (direct_weight * direct.total(kept) if kept else 0.0)


class PromptWriter:
    """Samples -> token ids with the picture's places, exactly as galago prompts at run time."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Tokenizer = load_tokenizer(folder)
        end = self.tokenizer.token_id("<|im_end|>")
        assert end is not None  # build_tokenizer put it there
        self.end = end

    def prompt_ids(self, prompt: str, image_tokens: int) -> tuple[list[int], slice]:
        """Ids of the prompt with zeros where the picture's tokens go, and where that is."""
        message = Message("user", (ImageSlot(0), f"\n{prompt}"))
        ids: list[int] = []
        where = slice(0, 0)
        for piece in chat_pieces(self.tokenizer, [message], PromptSpec()):
            if isinstance(piece, ImageSlot):
                where = slice(len(ids), len(ids) + image_tokens)
                ids += [0] * image_tokens
            else:
                ids += piece
        return ids, where

    def answer_ids(self, spoken: Spoken) -> list[int]:
        ids: list[int] = []
        for text, spelled in spoken.answer:
            for part in text if spelled else [text]:
                ids += self.tokenizer.encode(part)
        return [*ids, self.end]


def collate(
    samples: Sequence[Sample],
    writer: PromptWriter,
    rng: random.Random,
    teacher: np.ndarray,
    share: float = 1.0,
) -> Batch:
    """As direct.collate, with questions about a random `share` of the pictures, at least one."""
    batch = direct.collate(samples, teacher)
    asked = [i for i in range(len(samples)) if rng.random() < share] or [0]
    batch["asked"] = torch.tensor(asked)
    tokens = (samples[0].picture.shape[0] // STRIDE) ** 2
    rows: list[list[int]] = []
    places: list[tuple[int, int]] = []
    targets: list[int] = []
    weights: list[float] = []
    kinds: list[int] = []
    wheres: list[slice] = []
    for row, sample in enumerate(samples[i] for i in asked):
        spoken = speak(sample, rng)
        prompt, where = writer.prompt_ids(spoken.prompt, tokens)
        answer = writer.answer_ids(spoken)
        wheres.append(where)
        rows.append(prompt + answer[:-1])
        places += [(row, len(prompt) - 1 + i) for i in range(len(answer))]
        targets += answer
        weights += [len(answer) ** -0.5] * len(answer)
        kinds += [KINDS.index(sample.kind)] * len(answer)
    longest = max(map(len, rows))
    batch["ids"] = torch.tensor([ids + [0] * (longest - len(ids)) for ids in rows])
    batch["slots"] = torch.zeros(batch["ids"].shape, dtype=torch.bool)
    for row, where in enumerate(wheres):
        batch["slots"][row, where] = True
    batch["places"] = torch.tensor(places)
    batch["targets"] = torch.tensor(targets)
    batch["weights"] = torch.tensor(weights)
    batch["kinds"] = torch.tensor(kinds)
    return batch


@torch.inference_mode()
def answer_accuracy(
    model: VisionLanguageModel,
    tasks: Tasks,
    writer: PromptWriter,
    stage: StageConfig,
    count: int,
    seed: int,
) -> dict[str, float]:
    """Held-out share of answer tokens that are right given the right tokens before them."""
    side, kinds = stage.batch[-1]
    model.eval()
    figures = {}
    teacher = np.zeros((1 << 16, 1), np.float16)
    for kind in kinds:
        rng = random.Random(f"{seed}-{kind}")
        right = seen = 0
        for _ in range(0, count, 25):
            samples = [tasks.sample(kind, rng, side) for _ in range(25)]
            batch = collate(samples, writer, rng, teacher)
            with autocast():
                features = model.trunk.forward_features(normalised(batch["pixels"]))
                logits = model.answer_logits(features, batch)
            right += int((logits.argmax(-1) == batch["targets"]).sum())
            seen += len(batch["targets"])
        figures[kind] = right / seen
    model.train()
    return figures
