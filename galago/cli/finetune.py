"""`galago finetune`: a FastVLM that learns from somebody's own pictures, questions and answers."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli import options
from galago.cli.examples import example_record, show_examples, tell_faults, write_sheet
from galago.cli.terminal import say, stages, write_place, write_record
from galago.errors import MissingExtraError, OptionError
from galago.progress import silent

if TYPE_CHECKING:
    from galago.train.tune.data import TuneData
    from galago.train.tune.finetune import Tuned

__all__ = ["finetune"]

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "timm", "matplotlib")


def finetune(
    model: options.SourceModel,
    out: options.NewFolder,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="PLACE",
            help="LLaVA's JSON or JSON lines, a CSV or TSV, a folder of folders named after what "
            "their pictures show, a data set of save_to_disk, or WebDataset tars.",
        ),
    ],
    images: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the data's pictures are.")
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What is asked, where data has answers alone."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="A stage of FastVLM's training with its rate and batch: stage1, stage1.5, stage2, "
            "stage3.",
        ),
    ] = None,
    parts: Annotated[
        str, typer.Option(metavar="LIST", help="What learns: projector, decoder, vision.")
    ] = "projector,decoder",
    full: Annotated[
        bool, typer.Option("--full", help="The decoder learns whole, not by LoRA.")
    ] = False,
    rank: Annotated[int, typer.Option(metavar="N", help="LoRA's rank.")] = 16,
    epochs: Annotated[float, typer.Option(metavar="N", help="How often each row is learnt.")] = 3.0,
    max_steps: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many steps.")
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Rows that are looked at together.")] = 4,
    accumulate: Annotated[int, typer.Option(metavar="N", help="Batches that make one step.")] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="AdamW's highest rate.", show_default="2e-4; 2e-5 where not by LoRA"
        ),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS", help="Side of the pictures.", show_default="the model's own"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the order and LoRA's start.")] = 0,
    precision: Annotated[
        str, typer.Option(metavar="P", help="auto, fp32 or bf16; auto is bf16 on GPUs with it.")
    ] = "auto",
    held_out: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the rows that judge and aren't learnt.")
    ] = 0.1,
    patience: Annotated[
        int,
        typer.Option(metavar="N", help="End after so many judgements without a better; 0 never."),
    ] = 3,
    measured: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Held-out answers asked before and after, with what galago's own models knew; "
            "0 none.",
        ),
    ] = 100,
    own_shards: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="The tars that galago's own models are trained with: of them, too, held-out "
            "pictures are asked.",
        ),
    ] = None,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Less memory, a third more time.")
    ] = False,
    fsdp: Annotated[
        bool,
        typer.Option(
            "--fsdp",
            help="Divide the model among the processes of torchrun or accelerate, for models that "
            "one device can't hold.",
        ),
    ] = False,
    adapter: Annotated[
        bool,
        typer.Option(
            "--adapter", help="OUT holds what LoRA learnt alone, in peft's files, and needs MODEL."
        ),
    ] = False,
    no_features: Annotated[
        bool,
        typer.Option(
            "--no-features", help="Look at pictures in every epoch, instead of once (quick GPUs)."
        ),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Curves for TensorBoard too; keeps OUT.work.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave faulty rows out.")] = False,
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut answers that are too long, instead of refusing them.")
    ] = False,
    check_all: Annotated[
        bool, typer.Option("--check-all", help="Open every picture before the training.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the data, show three rows as they are learnt.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Continue a stopped training, or begin anew."),
    ] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Leave OUT.work there at the end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The figures, or the three rows, as JSON.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Teach a FastVLM from your own pictures, questions and answers.

    LoRA on the language model and the projector whole, unless told otherwise. The data is checked
    first; rows held out by a hash of their pictures tell whether it helps. What the vision tower
    makes of each picture is computed once and kept. OUT is a folder in the model's own layout that
    every verb opens, compared with what was trained before it is kept. Stopped, the same command
    continues from its last checkpoint. Under torchrun or accelerate (`torchrun --nproc-per-node 8
    -m galago finetune …`) all processes work together. Nothing is sent anywhere. Needs
    torch, transformers, peft and others: the extra `finetune`.

    \b
    Examples:
      galago finetune fastvlm-nano my-model --data photos/ --rate 1e-3 --epochs 10
      galago finetune apple/FastVLM-0.5B my-model --data train.json --images photos/
      galago finetune apple/FastVLM-0.5B my-model --data train.json --dry-run
    """
    from galago.train.tune.options import TuneOptions, chosen_parts

    chosen = TuneOptions(
        parts=chosen_parts(parts), full=full, rank=rank, epochs=epochs, max_steps=max_steps,
        batch=batch, accumulate=accumulate, rate=rate, resolution=resolution, seed=seed,
        precision=precision, held_out=held_out, patience=patience, measured=measured,
        checkpointing=checkpointing, features=not no_features, tensorboard=tensorboard,
        cut=cut, adapter=adapter, fsdp=fsdp or _launched_with_fsdp(),
    )  # fmt: skip
    if preset is not None:
        chosen = chosen.with_preset(preset)
    if own_shards is not None and not measured:
        raise OptionError("--own-shards is about what --measured asks, which is 0")
    if not dry_run:
        _need_packages()
    from galago.train.tune.data import DataOptions

    reading = DataOptions(images, question, held_out, skip_bad, check_all)
    folder = Path(os.path.abspath(os.path.expanduser(out)))
    _run(
        model, data, folder, chosen, reading, own_shards,
        (dry_run, resume, keep, as_json, offline),
    )  # fmt: skip


def _launched_with_fsdp() -> bool:
    """Whether accelerate launch was told to."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def _need_packages() -> None:
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingExtraError(f"this needs {', '.join(lacking)}", "finetune")


def _run(
    model: str, place: str, out: Path, chosen: Any, reading: Any, own_shards: str | None,
    flags: tuple[bool, ...],
) -> None:  # fmt: skip
    from galago import catalog
    from galago.hub.resolve import resolve
    from galago.train.tune.base import labeller_of, opened
    from galago.train.tune.work import check_out

    dry_run, resume, keep, as_json, offline = flags
    first = os.environ.get("RANK", "0") == "0"  # torchrun starts several of us
    check_out(out)
    with stages(verbose=True) as shown:
        progress = shown if first else silent
        source = resolve(model, kind="fastvlm", offline=offline or None, progress=progress)
        catalog.check_kind(source.name, source.kind, "fastvlm")
        checkpoint = opened(source)
        labeller = labeller_of(checkpoint, chosen)
        image = chosen.seen(checkpoint.spec.image)
        data = _loaded(place, labeller, image, reading, progress)
        if first:
            say(*data.notes)
        if not dry_run:
            from galago.train.tune.finetune import Job
            from galago.train.tune.finetune import finetune as tune

            job = Job(
                source, data.train, data.held_out, out, chosen,
                f"{Path(place).name} ({data.data.kind})", data.notes, own_shards, resume,
                keep or chosen.tensorboard, data.digest,
            )  # fmt: skip
            made = tune(job, progress)
            if made is not None:
                _tell(made, as_json)
            return
    from galago.train.tune.dry_run import dry_run as show

    rows = show(data.train, labeller, image)
    if as_json:
        for row in rows:
            write_record(example_record(row))
    else:
        show_examples(rows)
    write_sheet(out.with_name(f"{out.name}.dry-run.png"), rows)


def _loaded(place: str, labeller: Any, image: Any, reading: Any, progress: Any) -> TuneData:
    """The data; what is wrong with its rows is told line by line."""
    from galago.train.tune.check import FaultyDataError
    from galago.train.tune.data import load_data

    try:
        return load_data(place, labeller, image, reading, progress)
    except FaultyDataError as error:
        tell_faults(error)
        raise


def _tell(made: Tuned, as_json: bool) -> None:
    if made.held_out_before is not None and made.held_out_after is not None:
        say(f"held-out loss {made.held_out_before:.3f} before, {made.held_out_after:.3f} after")
    if made.before is not None and made.after is not None:
        say(f"held-out answers: {made.before.sentence()} before, {made.after.sentence()} after")
    for was, now in zip(made.own_before, made.own_after, strict=True):
        say(f"{was.what}: {was.sentence()} before, {now.sentence()} after")
    write_record(made.to_json()) if as_json else write_place(str(made.folder))
