"""One command from shards and packages to a model that galago loads."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch

from galago.train import direct
from galago.train.assets import build_emoji, build_photos
from galago.train.config import StageConfig, TrainConfig, load_config
from galago.train.tasks import Tasks
from galago.train.teacher import build_teacher_features
from galago.train.trainer import Stage, processes, run_stage


DESCRIPTION = """Train a model: builds what it needs from the shards and packages (once), runs the
config's stages in order, each from where it stopped, and leaves a folder that galago loads."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m galago.train", description=DESCRIPTION)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--packages", type=Path, required=True, help="node_modules with fonts, emoji")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, logs and the model")
    parser.add_argument("--processes", type=int, default=2, help="one a core")
    parser.add_argument("--port", type=int, default=29511, help="on 127.0.0.1, for the processes")
    parser.add_argument("--stage", help="stop after this stage")
    options = parser.parse_args()
    cache = options.out / "cache"
    build_photos(options.data, cache)
    build_emoji(options.packages / "@iconify-json", cache)
    build_teacher_features(cache)
    try:
        torch.multiprocessing.spawn(_train, (options,), nprocs=options.processes)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


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
    for stage in config.stages:
        if stage.loss == "direct":
            run_stage(direct_stage(config, stage, train, held_out), config.seed, options.out)
        if stage.name == options.stage:
            break
    if options.processes > 1:
        torch.distributed.destroy_process_group()


def direct_stage(config: TrainConfig, stage: StageConfig, train: Tasks, held_out: Tasks) -> Stage:
    model = direct.DirectModel(config, train)
    teacher = np.load(train.cache / "teacher.npy", mmap_mode="r")

    def make_batch(rng: random.Random, step: int) -> list[direct.Batch]:
        return [
            direct.collate(
                [train.sample(kind, rng, side) for kind, n in counts.items() for _ in range(n // processes())],
                teacher,
            )
            for side, counts in stage.batch
        ]

    def evaluate(step: int) -> dict[str, float]:
        return direct.accuracy(model, held_out, config.side, 200, config.seed)

    return Stage(stage, model, make_batch, model, direct.total, evaluate)

