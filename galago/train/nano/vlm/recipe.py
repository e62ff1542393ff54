"""The recipe of a vision-language model: direct losses, then language (docs/training.md)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from functools import cached_property, partial

import numpy as np
import torch

from galago.specs import PromptSpec
from galago.train.nano.config import StageConfig, TrainConfig
from galago.train.nano.data.assets import emoji_label
from galago.train.nano.data.image_teacher import build_teacher_features, load_teacher_features
from galago.train.nano.data.tasks import Sample, Tasks
from galago.train.nano.data.wide import WideTasks
from galago.train.nano.data.words import build_tokenizer
from galago.train.nano.log import draw_curves
from galago.train.nano.model import normalised
from galago.train.nano.recipe import Places
from galago.train.nano.start import start_tokenizer
from galago.train.nano.trainer import Stage, processes
from galago.train.nano.vlm import direct, language
from galago.train.nano.vlm.card import write_card
from galago.train.nano.vlm.evaluate import evaluate
from galago.train.nano.vlm.publish import publish


class VLMRecipe:
    """See galago.train.nano.recipe.Recipe."""

    def __init__(self, config: TrainConfig, places: Places) -> None:
        self.config, self.places = config, places
        given = (places.labels, places.shards)
        self.train, self.held_out = (
            WideTasks(places.cache, places.fonts, split, {}, *given) for split in ("train", "val")
        )

    def prepare(self, stages: Sequence[StageConfig]) -> None:
        if any(map(language.needs_teacher, stages)):
            build_teacher_features(self.places.cache)
        if start_tokenizer(self.places.start, self.places.tokenizer):
            return
        names = [*self.train.labels, *map(emoji_label, self.train.emoji[3])]
        vocab = self.config.text.vocab
        system = PromptSpec().system
        build_tokenizer(self.places.tokenizer, vocab, names, system, self.said)

    def stage(self, stage: StageConfig) -> Stage:
        return self._direct(stage) if stage.loss == "direct" else self._language(stage)

    def settling(self, stage: StageConfig) -> torch.Tensor:
        samples = next(drawn(stage, self.train, random.Random(f"{self.config.seed}-start")))
        return normalised(direct.pixels_of(samples))

    def finish(self) -> None:
        config, out = self.config, self.places.out
        folder = out / config.name
        publish(config, out / f"{config.stages[-1].name}.pt", self.places.tokenizer, folder)
        figures = evaluate(folder, self.held_out, config.seed)
        draw_curves(config.stages, out)
        write_card(config, figures, out, folder)
        print(json.dumps(figures, indent=1))

    @property
    def said(self) -> list[str]:
        """Captions, where a stage asks for scenes."""
        kinds = {kind for stage in self.config.stages for _, some in stage.batch for kind in some}
        return self.train.captions if kinds & {"captioned", "pasted"} else []

    @cached_property
    def teacher(self) -> np.ndarray:
        return load_teacher_features(self.places.cache, len(self.train.store.photos))

    def _direct(self, stage: StageConfig) -> Stage:
        model = direct.DirectModel(self.config, self.train)

        def make_batch(rng: random.Random, step: int) -> list[direct.Batch]:
            return [direct.collate(s, self.teacher) for s in drawn(stage, self.train, rng)]

        def evaluate(step: int) -> dict[str, float]:
            side = stage.batch[0][0]
            return direct.accuracy(model, self.held_out, side, 200, self.config.seed)

        return Stage(stage, model, make_batch, model, direct.total, evaluate)

    def _language(self, stage: StageConfig) -> Stage:
        model = language.VisionLanguageModel(self.config, self.train, stage)
        writer = language.PromptWriter(self.places.tokenizer)

        def make_batch(rng: random.Random, step: int) -> list[direct.Batch]:
            parts = drawn(stage, self.train, rng)
            return [language.collate(s, writer, rng, self.teacher, stage.asked) for s in parts]

        def evaluate(step: int) -> dict[str, float]:
            seed = self.config.seed
            return language.answer_accuracy(model, self.held_out, writer, stage, 50, seed)

        total = partial(language.total, direct_weight=stage.direct)
        return Stage(stage, model, make_batch, model, total, evaluate)


def drawn(stage: StageConfig, tasks: Tasks, rng: random.Random) -> Iterator[list[Sample]]:
    """This process's share of a step's samples, one list a forward pass."""
    for side, counts in stage.batch:
        shares = {kind: n // processes() for kind, n in counts.items()}
        yield [tasks.sample(kind, rng, side) for kind, n in shares.items() for _ in range(n)]
