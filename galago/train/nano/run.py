"""One command from shards and packages to a model that galago loads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from galago.errors import OptionError
from galago.train.nano.config import ClipTrainConfig, StageConfig, load_config
from galago.train.nano.data.assets import build_emoji, build_photos
from galago.train.nano.log import START
from galago.train.nano.recipe import Places, Recipe
from galago.train.nano.start import start_from
from galago.train.nano.trainer import run_stage

DESCRIPTION = """Train a model: builds what it needs from the shards and packages (once), runs the
config's stages in order, each from where it stopped, and leaves a folder that galago loads."""


def make_recipe(path: Path, places: Places) -> tuple[Recipe, tuple[StageConfig, ...]]:
    """The recipe of a config file, and its stages."""
    config = load_config(path)
    if isinstance(config, ClipTrainConfig):
        from galago.train.nano.clip.recipe import ClipRecipe

        return ClipRecipe(config, places), config.stages
    from galago.train.nano.vlm.recipe import VLMRecipe

    return VLMRecipe(config, places), config.stages


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m galago.train.nano", description=DESCRIPTION)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--packages", type=Path, required=True, help="node_modules: fonts, emoji")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, logs and the model")
    parser.add_argument("--processes", type=int, default=2, help="one a core")
    parser.add_argument("--port", type=int, default=29511, help="on 127.0.0.1, for the processes")
    parser.add_argument("--from", dest="first", help="begin at this stage (with --start)")
    parser.add_argument("--stage", help="stop after this stage")
    parser.add_argument("--start", type=Path, help="published folder to start from")
    parser.add_argument("--labels", type=Path, help="what teachers said (…nano.teach --out)")
    options = parser.parse_args()
    places = _places(options)
    build_photos(options.data, places.cache)
    build_emoji(options.packages / "@iconify-json", places.cache)
    recipe, stages = make_recipe(options.config, places)
    recipe.prepare(chosen(stages, options.first, options.stage))
    try:
        torch.multiprocessing.spawn(_train, (options,), nprocs=options.processes)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if options.stage in (None, stages[-1].name):
        recipe.finish()


def chosen(
    stages: Sequence[StageConfig], first: str | None, last: str | None
) -> tuple[StageConfig, ...]:
    """The stages from `first` to `last`, both included; OptionError for a name that none has."""
    names = [stage.name for stage in stages]
    for name in filter(None, (first, last)):
        if name not in names:
            raise OptionError(f"no stage is called {name!r}; the config has {', '.join(names)}")
    start = names.index(first) if first else 0
    stop = names.index(last) if last else len(names) - 1
    return tuple(stages[start : stop + 1])


def _places(options: argparse.Namespace) -> Places:
    fonts = options.packages / "@fontsource"
    return Places(options.out, fonts, options.start, options.labels, options.data)


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
    recipe, stages = make_recipe(options.config, _places(options))
    seed = load_config(options.config).seed
    before: Path | None = None
    for stage in chosen(stages, options.first, options.stage):
        built = recipe.stage(stage)
        if options.start and before is None and not (options.out / f"{stage.name}.pt").exists():
            start_from(options.start, built.model, recipe.settling(stage))
            (options.out / START).write_text(f"the weights of {options.start.name}\n", "utf-8")
        run_stage(built, seed, options.out, before)
        before = options.out / f"{stage.name}.pt"
    if options.processes > 1:
        torch.distributed.destroy_process_group()
