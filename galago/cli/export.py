"""`galago export`: a model in another program's format, proved to say the same."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import options
from galago.cli.terminal import say, stages, write_place, write_record
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.export.targets import Made, Make
    from galago.progress import Progress

__all__ = ["export"]


def export(
    model: options.SourceModel,
    out: options.NewFolder,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Whose format it is: onnx (transformers.js and others), web (a page without a "
            "server), transformers, llava, mlx, mlx-app, coreml or coreml-own.",
        ),
    ] = "onnx",
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="How weights are stored. onnx: fp32, fp16, int8, q8, q4, q4f16, or all; several "
            "by commas; a MobileCLIP has no q4 and q4f16. mlx and mlx-app: one of bf16, 8bit, "
            "4bit, fp32. coreml: fp16, int8, int4, or all; a MobileCLIP has one of fp16, fp32. The "
            "layouts keep what is stored.",
            show_default="onnx: fp16,q8,q4,q4f16, of a MobileCLIP fp32,fp16,q8; mlx: bf16; "
            "web: int8, of a MobileCLIP q8; coreml: int8, of a MobileCLIP fp16",
        ),
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="LIST",
            help="web: further models of the page, by commas.",
            show_default="the embedded ones",
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="web: where npm's package onnxruntime-web is unpacked.",
            show_default="a checkout's own",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The figures of each dtype as a JSON object a line.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Write a model in another program's format, or a page without a server.

    onnx is what transformers.js reads; ONNX Runtime and OpenVINO read its graphs too. transformers
    and llava are the two layouts in which FastVLM is published, each rewritten as the other, bit
    for bit. mlx is for mlx-vlm and mlx-swift-lm, mlx-app for Apple's app. coreml writes packages
    for iPhones and Macs, the trunk as Apple's app takes it; coreml-own also one that it can't take.
    What was written is read back and compared with the model itself; the figures are shown and
    stand in the folder's README, and what strays is refused. Stopped, the same command continues.
    Nothing is uploaded. onnx needs the package of that name, coreml coremltools.

    With --to web the folder is the page of `galago serve` whose models run in the browser: any web
    server can hand it out. MODEL and those of --with are in it.

    \b
    Examples:
      galago export fastvlm-nano nano-onnx
      galago export apple/FastVLM-0.5B FastVLM-0.5B-ONNX --dtype fp16,q4
      galago export ./my-finetuned-fastvlm OUT --dtype all --json
      galago export fastvlm-nano site --to web
      galago export apple/FastVLM-0.5B FastVLM-0.5B-hf --to transformers
      galago export ./my-finetuned-fastvlm FastVLM-mine-4bit --to mlx --dtype 4bit
      galago export apple/FastVLM-0.5B Packages --to coreml --dtype int4
    """
    from galago.export.targets import dtypes_of, target
    from galago.export.work import check_target
    from galago.hub.resolve import resolve

    way = target(to)
    if to != "web" and (beside is not None or runtime is not None):
        raise OptionError(f"--{'runtime' if beside is None else 'with'} belongs to --to web")
    folder = Path(os.path.abspath(os.path.expanduser(out)))
    check_target(folder)
    with stages(verbose=True) as progress:
        source = resolve(model, offline=offline or None, progress=progress)
        make = way.make
        if to == "web":
            make = _page(beside, runtime, offline, progress)
        made = make(source, dtypes_of(to, way, source.kind, dtype), folder, progress)
    _tell(made, as_json)


def _page(beside: str | None, runtime: str | None, offline: bool, progress: Progress) -> Make:
    """How a page is written, with what else was asked for."""
    from galago.export.web import export_web, find_runtime
    from galago.hub.resolve import resolve

    files = find_runtime(None if runtime is None else Path(os.path.expanduser(runtime)))
    others = None
    if beside is not None:
        names = [name for name in beside.split(",") if name.strip()]
        others = [resolve(one.strip(), offline=offline or None, progress=progress) for one in names]
    return partial(export_web, beside=others, runtime=files)


def _tell(made: Made, as_json: bool) -> None:
    for remark in made.remarks:
        say(remark)
    if not as_json:
        return write_place(str(made.folder))
    for proof in made.proofs:
        write_record({"folder": str(made.folder), **proof.to_json()})
