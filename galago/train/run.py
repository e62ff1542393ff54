"""One command from shards and packages to a model that galago loads."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from galago.specs import PromptSpec
from galago.train import direct, language
from galago.train.assets import build_emoji, build_photos, emoji_label
from galago.train.card import START, draw_curves, write_card
from galago.train.config import StageConfig, TrainConfig, load_config
from galago.train.evaluate import evaluate
from galago.train.model import normalised
from galago.train.publish import publish
from galago.train.start import start_from
from galago.train.tasks import Sample, Tasks
from galago.train.teacher import build_teacher_features
from galago.train.trainer import Stage, processes, run_stage
from galago.train.words import build_tokenizer

DESCRIPTION = """Train a model: builds what it needs from the shards and packages (once), runs the
config's stages in order, each from where it stopped, and leaves a folder that galago loads."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m galago.train", description=DESCRIPTION)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--packages", type=Path, required=True, help="node_modules: fonts, emoji")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, logs and the model")
    parser.add_argument("--processes", type=int, default=2, help="one a core")
    parser.add_argument("--port", type=int, default=29511, help="on 127.0.0.1, for the processes")
    parser.add_argument("--stage", help="stop after this stage")
    parser.add_argument("--start", type=Path, help="published folder to start from")
    options = parser.parse_args()
    cache = options.out / "cache"
    build_photos(options.data, cache)
    build_emoji(options.packages / "@iconify-json", cache)
    build_teacher_features(cache)
    config = load_config(options.config)
    taught = Tasks(cache, options.packages / "@fontsource", "train")
    names = [*taught.labels, *map(emoji_label, taught.emoji[3])]
    tokenizer = options.out / "tokenizer"
    build_tokenizer(tokenizer, config.text.vocab, names, PromptSpec().system)
    try:
        torch.multiprocessing.spawn(_train, (options,), nprocs=options.processes)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if options.stage in (None, config.stages[-1].name):
        folder = options.out / config.name
        publish(config, options.out / f"{config.stages[-1].name}.pt", tokenizer, folder)
        held_out = Tasks(cache, options.packages / "@fontsource", "val")
        figures = evaluate(folder, held_out, config.seed)
        draw_curves(config, options.out)
        write_card(config, figures, options.out, folder)
        print(json.dumps(figures, indent=1))


def _train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes: the same stages, its own share of every batch."""
    torch.set_num_threads(1)
    if options.processes > 1:
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"tcp://127.0.0.1:{options.port}",
            rank=rank,
            world_size=options.processes,
        )
    config = load_config(options.config)
    train, held_out = (
        Tasks(options.out / "cache", options.packages / "@fontsource", split)
        for split in ("train", "val")
    )
    tokenizer = options.out / "tokenizer"
    before: Path | None = None
    for stage in config.stages:
        build = direct_stage if stage.loss == "direct" else language_stage
        built = build(config, stage, train, held_out, tokenizer)
        if options.start and before is None and not (options.out / f"{stage.name}.pt").exists():
            start_from(options.start, config, built.model, settling(stage, train, config.seed))
            (options.out / START).write_text(f"the trunk of {options.start.name}\n", "utf-8")
        run_stage(built, config.seed, options.out, before)
        before = options.out / f"{stage.name}.pt"
        if stage.name == options.stage:
            break
    if options.processes > 1:
        torch.distributed.destroy_process_group()


def direct_stage(
    config: TrainConfig, stage: StageConfig, train: Tasks, held_out: Tasks, tokenizer: Path
) -> Stage:
    model = direct.DirectModel(config, train)
    teacher = np.load(train.cache / "teacher.npy", mmap_mode="r")

    def make_batch(rng: random.Random, step: int) -> list[direct.Batch]:
        return [direct.collate(s, teacher) for s in drawn(stage, train, rng)]

    def evaluate(step: int) -> dict[str, float]:
        return direct.accuracy(model, held_out, stage.batch[0][0], 200, config.seed)

    return Stage(stage, model, make_batch, model, direct.total, evaluate)


def language_stage(
    config: TrainConfig, stage: StageConfig, train: Tasks, held_out: Tasks, tokenizer: Path
) -> Stage:
    model = language.VisionLanguageModel(config, train, "trunk" not in stage.trains)
    teacher = np.load(train.cache / "teacher.npy", mmap_mode="r")
    speaker = language.Speaker(tokenizer)

    def make_batch(rng: random.Random, step: int) -> list[direct.Batch]:
        parts = drawn(stage, train, rng)
        return [language.collate(s, speaker, rng, teacher, stage.asked) for s in parts]

    def evaluate(step: int) -> dict[str, float]:
        return language.answer_accuracy(model, held_out, speaker, stage, 100, config.seed)

    total = partial(language.total, direct_weight=stage.direct)
    return Stage(stage, model, make_batch, model, total, evaluate)


def settling(stage: StageConfig, tasks: Tasks, seed: int) -> torch.Tensor:
    """Pictures of the stage's first mixture, the same in every process."""
    samples = next(drawn(stage, tasks, random.Random(f"{seed}-start")))
    return normalised(direct.pixels_of(samples))


def drawn(stage: StageConfig, tasks: Tasks, rng: random.Random) -> Iterator[list[Sample]]:
    """This process's share of a step's samples, one list a forward pass."""
    for side, counts in stage.batch:
        shares = {kind: n // processes() for kind, n in counts.items()}
        yield [tasks.sample(kind, rng, side) for kind, n in shares.items() for _ in range(n)]
