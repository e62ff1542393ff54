"""`galago bench`: how fast it is here, beside its peers."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.terminal import say, stages, write
from galago.errors import OptionError, StorageError, install_line

if TYPE_CHECKING:
    from galago.bench.jobs import Row, Settings

__all__ = ["bench"]


def bench(
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROW",
            help="Beginnings of names of rows, such as first/nano, curve, clip or field; all but "
            "field's by default.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The embedded models and a small one: about 3 minutes.")
    ] = False,
    runs: Annotated[int, typer.Option(metavar="N", help="Measurements of each row.", min=1)] = 5,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Measure all rows so often, in turn.", min=1)
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="CPU threads; all cores by default.", min=1)
    ] = None,
    clock: Annotated[
        str,
        typer.Option(
            metavar="wall|cpu",
            help="What times MobileCLIP's towers; cpu, with --threads 1, on a machine that others "
            "are using.",
        ),
    ] = "wall",
    device: options.Device = None,
    vision_device: options.VisionDevice = None,
    cache: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where random models and finished rows are kept (the whole takes up to 35 GB of "
            "disk); a folder of galago's cache by default.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write performance.json, its pictures, and the generated part of "
            "performance.md there, with all rows that are finished; of rows of clip "
            "benchmark-clip.json, .md and .svg, of rows of field comparison.json, .md and .svg.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure rows that are finished already once more.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--list", help="List the rows and measure nothing.")
    ] = False,
) -> None:
    """Measure how fast galago is on this computer, beside its peers.

    Time to the first token in its parts, tokens a second, memory and starting, in every precision
    and resolution, with the share of this machine's limits that is reached. Models are random
    ones of the published shapes: nothing is fetched. transformers, LLaVA-OneVision's shape and ONNX
    Runtime are measured when the extra bench is installed. Rows of clip are MobileCLIP2's towers,
    indexing and search, beside open_clip; all but the embedded model's need that, too. Rows of
    field are the towers and decoders of other models (SigLIP, SmolVLM, ConvLLaVA and more, see
    docs/comparison.md), in PyTorch and in OpenVINO; field/shapes only counts them. Each finished
    row is kept: a run that was stopped goes on where it was. The tables go to stdout, as
    Markdown.

    \b
    Examples:
      galago bench --quick
      galago bench first/0.5B/galago/int8
      galago bench clip/towers/MobileCLIP2-S0
      galago bench field/tower/FastViTHD field/decoder/Qwen2-0.5B
      galago bench --cache /mnt/large/bench --out docs
    """
    from galago.bench.plan import chosen
    from galago.bench.plan import rows as planned

    settings = replace(
        _settings(quick, runs, threads, clock, cache), device=device, vision_device=vision_device
    )
    _check_devices(settings)
    every = planned(settings)
    wanted = chosen(every, rows or [])
    if not wanted:
        heads = ", ".join(sorted({row.name.split("/")[0] for row in every}))
        raise OptionError(f"no row begins so: use --list, or beginnings such as {heads}")
    if names:
        write("".join(f"{row.name}\n" for row in wanted))
        return
    _measure(settings, wanted, every, rounds, again, out)


def _check_devices(settings: Settings) -> None:
    """OptionError at once for a device that isn't here, and not as the fault of each row."""
    if settings.placed:
        from galago.engine.device import find

        if find(settings.device, settings.vision_device).meanwhile:
            raise OptionError("AUTO begins on the CPU: name the device that is to be measured")


def _settings(
    quick: bool, runs: int, threads: int | None, clock: str, cache: str | None
) -> Settings:
    from galago.bench.jobs import Settings
    from galago.places import as_path, cache_dir

    if clock not in ("wall", "cpu"):
        raise OptionError(f"--clock {clock!r}: choose wall or cpu")
    if clock == "cpu" and threads != 1:
        raise OptionError("--clock cpu adds up what threads take: use it with --threads 1")
    folder = cache_dir() / "bench" if cache is None else as_path(cache)
    may = getattr(os, "sched_getaffinity", None)  # fewer than the machine has, in a container
    cores = len(may(0)) if may else os.cpu_count() or 1
    return Settings(folder.resolve(), threads or cores, runs, quick, clock)


def _measure(
    settings: Settings,
    wanted: list[Row],
    every: list[Row],
    rounds: int,
    again: bool,
    out: str | None,
) -> None:
    from galago.bench.page import told, write_pages
    from galago.bench.run import Run

    folder = None if out is None else _writable(Path(out).expanduser())
    _warn_if_busy(settings.threads)
    with stages(verbose=True) as progress:
        run = Run(settings, rounds=rounds, again=again, progress=progress)
        try:
            run.all(wanted)
        except KeyboardInterrupt:
            say(f"stopped; the same command goes on from {settings.cache}")
            raise
    write(told(run, wanted))
    if run.lacking:
        say(f"to install the extra bench: {install_line('bench')}")
    if folder is not None:
        try:
            write_pages(run, wanted, every, folder)
        except OSError as error:
            raise StorageError(f"{error.filename} can't be written: {error.strerror}") from error
    raise typer.Exit(1 if run.failed else 0)


def _warn_if_busy(threads: int) -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3 * threads:
        say(
            f"note: something else is using the processor (load {load:.1f}): what is measured now "
            "is slower than this machine; stop it, or measure again with --again"
        )


def _writable(folder: Path) -> Path:
    """The folder, made; StorageError before hours of measuring rather than after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror}") from error
