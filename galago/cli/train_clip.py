"""`galago train-clip`: a MobileCLIP that learns from reinforced shards, or a captioner from
captioned ones."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.terminal import say, stages, write_place, write_record
from galago.errors import MissingExtraError, OptionError
from galago.progress import Progress, silent

if TYPE_CHECKING:
    from galago.catalog import Kind
    from galago.train.clip.train import ClipTrained
    from galago.train.clip.train_captioner import CaptionerJob

__all__ = ["train_clip"]

_PACKAGES = ("torch", "open_clip", "webdataset", "safetensors", "timm")


def train_clip(
    shards: Annotated[
        str,
        typer.Argument(
            metavar="SHARDS",
            help="A folder of reinforced shards (with --captioner: of tars of pictures and .txt), "
            "or a name with braces: https://host/{00000..00099}.tar, "
            "'pipe:aws s3 cp s3://bucket/{00000..00099}.tar -'.",
        ),
    ],
    out: options.NewFolder,
    student: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="New weights of MobileCLIP2-S0, -S2, -B, -S3, -S4 or -L-14, or a TOML file of two "
            "towers.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Published weights to begin with: a MobileCLIP2 of `galago models` or a folder.",
            autocompletion=options.complete_clip,
        ),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fine-tune a captioner instead, a CoCa: open_clip:MODEL[:PRETRAINED] (a tag, or a "
            "file), a folder, or a .json of open_clip's for new weights.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The papers' batch, steps and rate: s0, b, s3, 12m; coca for a captioner; or "
            "domain, for pictures of one's own.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Pictures a step, of all processes together.", show_default="256"
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="How long.", show_default="1000")
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps in which the rate rises.", show_default="100"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="X", help="AdamW's highest rate.", show_default="1e-3"),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            metavar="X",
            help="How much teachers count beside CLIP's own loss, 0 to 1.",
            show_default="1",
        ),
    ] = None,
    weight_decay: Annotated[float, typer.Option(metavar="X", help="AdamW's.")] = 0.2,
    dims: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Numbers of each teacher's row, where nothing beside the shards says it: 768,768.",
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Of the teachers' cosines: 70,60.",
            show_default="as it stands beside the shards",
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Other shards, which judge the result."),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="P", help="auto, fp32 or bf16; auto: bf16 where there is such.")
    ] = "auto",
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that load, of each one that trains.")
    ] = 1,
    settled: Annotated[
        bool,
        typer.Option(
            "--settled", help="Batch norms keep their statistics, for small batches of a start."
        ),
    ] = False,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Less memory, a third more time.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of weights and order.")] = 0,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Continue a stopped training, or begin anew."),
    ] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Leave OUT.work there at the end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
    offline: options.Offline = False,
) -> None:
    """Train a MobileCLIP on reinforced shards, as MobileCLIP2 was.

    Multi-modal reinforced training (arXiv 2311.17049, 2508.20691) with what `galago reinforce` has
    stored, or Apple's DataCompDR joined with its pictures: the stored augmentations are replayed,
    and the student learns the teachers' similarities of the whole batch, of captions and of
    synthetic ones. OUT is a folder in open_clip's layout that every verb opens, compared with what
    was trained before it is kept. With --captioner a CoCa learns captions of pictures by
    open_clip's CoCa loss, and OUT is what `galago reinforce --captioner` takes. Stopped, the same
    command continues. Under torchrun (`torchrun --nproc-per-node 8 -m -- galago train-clip …`) all
    processes work together. Nothing is sent anywhere. Needs torch, open_clip, webdataset and
    others: the extra `train-clip`.

    \b
    Examples:
      galago train-clip shards/ my-clip --start MobileCLIP2-S0 --preset domain --held-out other/
      torchrun --nproc-per-node 8 -m -- galago train-clip shards/ my-clip \\
        --student MobileCLIP2-S0 --preset 12m --workers 8
      galago train-clip captioned/ my-captioner --preset domain \\
        --captioner open_clip:coca_ViT-L-14:mscoco_finetuned_laion2b_s13b_b90k
    """
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingExtraError(f"this needs {', '.join(lacking)}", "train-clip")
    from galago.train.clip.options import COCA, with_preset

    chosen = {
        "batch": batch, "steps": steps, "warmup": warmup, "rate": rate, "weight": weight,
        "weight_decay": weight_decay, "seed": seed, "precision": precision, "workers": workers,
        "checkpointing": checkpointing, "settled": settled,
    }  # fmt: skip
    first = os.environ.get("RANK", "0") == "0"  # torchrun starts several of us
    place = Path(os.path.abspath(os.path.expanduser(out)))
    if captioner is not None:
        unfit = {
            "--student": student, "--start": start, "--lambda": weight, "--dims": dims,
            "--scales": scales, "--settled": settled or None,
        }  # fmt: skip
        _check_captioner(preset, [name for name, value in unfit.items() if value is not None])
        from galago.train.clip.train_captioner import CaptionerJob

        learning = with_preset(preset, chosen)
        asked = CaptionerJob(captioner, shards, place, learning, held_out, resume, keep, offline)
        _captioner(asked, first, as_json)
        return
    if preset == COCA:
        raise OptionError(f"--preset {COCA} is a captioner's: give --captioner, or another preset")
    learning = with_preset(preset, chosen)
    with stages(verbose=True) as shown:
        progress = shown if first else silent
        # a TOML file's trunk may come from a FastVLM of galago's own, too
        kind: Kind | None = "mobileclip" if student is None else None
        begun = None if start is None else _folder(start, kind, offline, progress)
        from galago.train.clip.train import ClipJob
        from galago.train.clip.train import train_clip as train

        job = ClipJob(
            shards, place, learning, student, begun, held_out, _whole(dims), _numbers(scales),
            resume, keep, offline,
        )  # fmt: skip
        made = train(job, progress)
    if made is not None:
        _tell(made, as_json)


def _check_captioner(preset: str | None, unfit: list[str]) -> None:
    """OptionError for what a captioner has no use for."""
    from galago.train.clip.options import COCA

    if unfit:
        raise OptionError(f"--captioner and {', '.join(unfit)} exclude each other")
    if preset not in (None, COCA, "domain"):
        raise OptionError(f"--preset {preset} is a MobileCLIP's: a captioner has {COCA} and domain")


def _captioner(job: CaptionerJob, first: bool, as_json: bool) -> None:
    from galago.train.clip.train_captioner import train_captioner

    for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    with stages(verbose=True) as shown:
        made = train_captioner(job, shown if first else silent)
    if made is None:
        return
    course = made.course
    say(f"{course.steps} steps, loss {course.loss:.4f}, scale {course.scale:.1f}")
    if made.before is not None and made.after is not None:
        before, after = made.before.caption, made.after.caption
        about = f"captions of {made.after.pictures} held-out pictures"
        say(f"{about}: {before:.3f} nats a token before, {after:.3f} now")
    write_record(made.to_json()) if as_json else write_place(str(made.folder))


def _folder(start: str, kind: Kind | None, offline: bool, progress: Progress) -> Path:
    from galago import catalog
    from galago.hub.fetched import fetched

    source = fetched(start, kind=kind, offline=offline or None, progress=progress)
    catalog.check_kind(source.name, source.kind, kind)
    return source.folder


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        found = None if text is None else tuple(map(float, text.split(",")))
    except ValueError:
        found = (0.0,)
    if found is not None and not all(0 < number < float("inf") for number in found):
        raise OptionError(f"{text!r} is no list of numbers above 0, as 70,60")
    return found


def _whole(text: str | None) -> tuple[int, ...] | None:
    found = _numbers(text)
    return None if found is None else tuple(map(int, found))


def _tell(made: ClipTrained, as_json: bool) -> None:
    course = made.course
    say(f"{course.steps} steps, loss {course.loss:.4f}, scale {course.scale:.1f}")
    if made.judged is not None:
        say(made.judged.sentence())
    write_record(made.to_json()) if as_json else write_place(str(made.folder))
