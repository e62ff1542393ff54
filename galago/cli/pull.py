"""`galago pull`: fetch, convert, keep."""

from __future__ import annotations

from typing import Annotated

import typer

from galago.cli import options
from galago.cli.options import Precision
from galago.cli.terminal import say, stages, write

__all__ = ["pull"]


def pull(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name of `galago models`, a folder, or owner/name of the hub.",
            autocompletion=options.complete_model,
        ),
    ],
    precision: Precision = "auto",
    force: options.Force = False,
    offline: options.Offline = False,
) -> None:
    """Fetch a model once, convert it for this computer, and keep it.

    An interrupted download goes on where it stopped. The conversion is compared with the full-
    precision model, its figures are shown, and a bad one is refused. The folder of the converted
    model goes to stdout.

    \b
    Examples:
      galago pull apple/FastVLM-0.5B
      galago pull apple/FastVLM-7B --precision int4
      galago pull ./my-finetuned-fastvlm
      HF_HUB_OFFLINE=1 galago pull apple/FastVLM-0.5B --precision int4
    """
    from galago import store

    with stages(verbose=True) as progress:
        ready = store.prepare(
            model,
            precision=precision,
            offline=offline or None,
            update=True,
            force=force,
            progress=progress,
        )
    if ready.embedded:
        say(f"{ready.name} comes with galago: there is nothing to fetch")
    if not ready.fresh and (figures := ready.self_check()):
        say(figures)
    write(f"{ready.folder}\n")
