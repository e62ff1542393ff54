"""`galago use`: the model that is taken when none is named."""

from __future__ import annotations

from typing import Annotated

import typer

from galago import catalog, config
from galago.cli import options
from galago.cli.terminal import say
from galago.disk import whole_file
from galago.errors import OptionError, StorageError
from galago.places import config_file

__all__ = ["use"]


def use(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A name of `galago models`, a folder, or owner/name of the hub.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="Back to the best that is here, of both kinds.")
    ] = False,
) -> None:
    """Say which model is used when none is named, or set it.

    A FastVLM is set for questions (describe, chat, watch, serve), a MobileCLIP for new albums. -m
    and GALAGO_MODEL or GALAGO_CLIP in the environment come before it. Without it the best model
    that is here is used. Fetches nothing.

    \b
    Examples:
      galago use
      galago use apple/FastVLM-0.5B
      galago use --best
    """
    if model is not None and best:
        raise OptionError(f"give {model} or --best, not both")
    if best:
        _write("model", None)
        _write("clip", None)
    elif model is not None:
        name, kind = _known(model)
        _write("model" if kind == "fastvlm" else "clip", name)
    _tell()


def _known(model: str) -> tuple[str, catalog.Kind]:
    """The name to keep, which opens the model from any folder, and its kind."""
    from galago.cli.albums import source_of
    from galago.convert.folder import is_converted
    from galago.convert.store import kind_of
    from galago.hub.resolve import local, understand

    wanted = understand(model)
    here = local(wanted)
    ours = here is not None and is_converted(here.folder)
    kind = "fastvlm" if ours else kind_of(wanted)
    if kind is None or here is None:
        if wanted.row is None and wanted.repository is None:
            raise catalog.unknown(model)
        raise OptionError(f"{wanted.name} is not here yet: galago pull {wanted.name}, then again")
    return source_of(model), kind


def _write(key: str, value: str | None) -> None:
    path = config_file()
    if value is None and not path.exists():
        return
    data = config.changed(key, value)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(data)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror or error}") from error


def _tell() -> None:
    from galago.convert.choice import choose_fastvlm
    from galago.hub.choice import choose_clip

    for what, choice in (("questions", choose_fastvlm()), ("new albums", choose_clip())):
        why = {
            "environment": "as the environment says",
            "config": f"as {config_file()} says",
            "best": "the best here",
            "embedded": "nothing better is here",
        }[choice.why]
        say(f"{what}: {choice.name} ({why})")
