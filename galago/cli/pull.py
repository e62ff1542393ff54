"""`galago pull`: fetch, convert what needs it, keep."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from galago.cli import options
from galago.cli.options import Precision
from galago.cli.terminal import say, stages, write_place
from galago.errors import GalagoError
from galago.progress import Stage

if TYPE_CHECKING:
    from galago.convert.store import Prepared
    from galago.hub.resolve import ResolvedModel
    from galago.progress import Progress

__all__ = ["pull"]


def pull(
    model: options.SourceModel,
    precision: Precision = "auto",
    force: options.Force = False,
    offline: options.Offline = False,
) -> None:
    """Fetch a model once, convert a FastVLM for this computer, and keep it.

    An interrupted download goes on where it stopped. The conversion is compared with the
    full-precision model, its figures are shown, and a bad one is refused. Where the processor
    multiplies bytes (VNNI, AMX), 32 pictures tell whether vision in 8 bits would hold on these
    weights, and what it gains. A MobileCLIP needs no conversion: that all of it is there is
    checked. The model's folder goes to stdout.

    \b
    Examples:
      galago pull apple/FastVLM-0.5B
      galago pull MobileCLIP2-S0
      galago pull apple/FastVLM-7B --precision int4
      galago pull ./my-finetuned-fastvlm
      HF_HUB_OFFLINE=1 galago pull apple/FastVLM-0.5B --precision int4
    """
    from galago.convert import store
    from galago.hub.fetched import fetched

    with stages(verbose=True) as progress:
        # Of a hub name that isn't here only the files tell what it is.
        kind = known = store.kind_of(model)
        if known != "fastvlm":
            source = fetched(model, offline=offline or None, update=True, progress=progress)
            kind = source.kind
        if kind == "mobileclip":
            checked = _checked(source, progress)
        else:
            ready = store.prepare(
                model,
                precision=precision,
                offline=offline or None,
                update=known is not None,
                force=force,
                progress=progress,
            )
    if kind == "mobileclip":
        say(checked)
        if precision != "auto" or force:
            say("note: --precision and --force are for the conversion of a FastVLM")
        return write_place(str(source.folder))
    if ready.embedded:
        say(f"{ready.name} comes with galago: there is nothing to fetch")
    if not ready.fresh and (figures := ready.self_check()):
        say(figures)
    if ready.fresh:
        with stages(verbose=True) as progress:
            _try_8_bits(model, ready, progress)
        say(f"what each precision costs in quality: {_command('evaluate precision', model)}")
    write_place(str(ready.folder))


def _command(verb: str, model: str, *more: str) -> str:
    return " ".join(["galago", verb, shlex.quote(model), *more])


def _try_8_bits(model: str, ready: Prepared, progress: Progress) -> None:
    """Where the processor multiplies bytes: whether vision in 8 bits holds on these weights, told
    with the command that takes it; what was asked for stays."""
    from galago.checkpoints.vlm import open_checkpoint
    from galago.convert.folder import open_converted
    from galago.convert.vision8 import check_vision8
    from galago.engine.processor import multiplies_bytes

    opened = open_converted(ready.folder)
    narrow = opened.plan.language in ("int8", "int4")  # the others have no pair with 8-bit vision
    if not multiplies_bytes() or not narrow or opened.plan.vision == "int8" or not ready.beside:
        return
    stage = Stage("trying vision in 8 bits (Ctrl-C skips it)")
    progress(stage, 0.0)
    try:
        found = check_vision8(
            open_checkpoint(ready.beside),
            opened.tensors,
            opened.plan,
            lambda share: progress(stage, share),
        )
    except KeyboardInterrupt:
        return say("skipped; the conversion is whole")
    # A galago without its examples, or too little memory: the conversion is whole all the same.
    except (GalagoError, MemoryError, RuntimeError) as error:
        return say(f"vision in 8 bits was not tried: {error}")
    line = found.sentence()
    if found.check.passed and found.gain > 1:
        line += f": {_command('pull', model, '--precision', found.wanted)}"
    say(line)


def _checked(source: ResolvedModel, progress: Progress) -> str:
    """A MobileCLIP in a line, opened and found whole for that."""
    from galago.checkpoints.clip import open_clip_checkpoint

    stage = Stage(f"checking {source.name}")
    progress(stage, 0.0)
    checkpoint = open_clip_checkpoint(source.folder)
    progress(stage, 1.0)
    spec = checkpoint.spec
    comes = " and comes with galago" if source.row and source.row.embedded else ""
    return (
        f"{source.name} is whole{comes}: {len(checkpoint.tensors)} tensors, pictures at "
        f"{spec.image.side} px, vectors of {spec.embed} numbers; it needs no conversion"
    )
