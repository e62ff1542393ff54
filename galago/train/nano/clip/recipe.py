"""The recipe of a two-tower model: a dataset reinforced once, then contrastive stages."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cached_property

import torch

from galago.train.nano.clip import contrastive
from galago.train.nano.clip.card import write_clip_card
from galago.train.nano.clip.evaluate import evaluate_clip
from galago.train.nano.clip.publish import publish_clip
from galago.train.nano.clip.reinforce import Reinforced, build_reinforced, load_reinforced
from galago.train.nano.config import ClipTrainConfig, StageConfig
from galago.train.nano.data.image_teacher import build_teacher_features
from galago.train.nano.data.tasks import Tasks
from galago.train.nano.data.things import short_caption
from galago.train.nano.data.wide import WideTasks
from galago.train.nano.log import draw_curves
from galago.train.nano.model import normalised
from galago.train.nano.recipe import Places
from galago.train.nano.trainer import Stage, processes


class ClipRecipe:
    """See galago.train.nano.recipe.Recipe."""

    def __init__(self, config: ClipTrainConfig, places: Places) -> None:
        self.config, self.places = config, places
        self.train = WideTasks(places.cache, places.fonts, "train", shards=places.shards)
        self.held_out = Tasks(places.cache, places.fonts, "val")

    def prepare(self, stages: Sequence[StageConfig]) -> None:
        config = self.config
        build_teacher_features(self.places.cache)
        given = (self.train.labels, config.teachers, config.seed, self.scenes)
        build_reinforced(self.places.cache, *given)

    @property
    def scenes(self) -> dict[int, str]:
        """Captions by the photograph's row, where a stage asks for captioned pictures."""
        asked = any("captioned" in counts for one in self.config.stages for _, counts in one.batch)
        photos = self.train.captioned if asked else []
        said = ((self.train.rows[p.offset], short_caption(p.info)) for p in photos)
        return {row: text for row, text in said if text}

    @cached_property
    def reinforced(self) -> Reinforced:
        return load_reinforced(self.places.cache / "reinforced")

    def stage(self, stage: StageConfig) -> Stage:
        model = contrastive.ClipModel(self.config, len(self.train.labels), self.reinforced.scale)
        draw = contrastive.Batches(self.config, self.train, self.reinforced)

        def make_batch(rng: random.Random, step: int) -> list[contrastive.Batch]:
            kinds = ("object", "captioned")
            return [
                draw(rng, side, *(counts.get(kind, 0) // processes() for kind in kinds))
                for side, counts in stage.batch
            ]

        def evaluate(step: int) -> dict[str, float]:
            vocab, side = self.config.clip.vocab, stage.batch[-1][0]
            return contrastive.zero_shot(model, self.held_out, vocab, side, 500)

        return Stage(stage, model, make_batch, model, contrastive.total, evaluate, 250)

    def settling(self, stage: StageConfig) -> torch.Tensor:
        draw = contrastive.Batches(self.config, self.train, self.reinforced)
        side, counts = stage.batch[0]
        drawn = draw(random.Random(f"{self.config.seed}-start"), side, counts["object"] // 2)
        return normalised(drawn["pixels"])

    def finish(self) -> None:
        config, out = self.config, self.places.out
        folder = out / config.name
        publish_clip(config, out / f"{config.stages[-1].name}.pt", folder)
        figures = evaluate_clip(folder, self.held_out)
        draw_curves(config.stages, out)
        write_clip_card(config, figures, out, folder)
        print(json.dumps(figures, indent=1))
