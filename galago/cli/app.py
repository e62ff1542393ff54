"""The verbs put together."""

from __future__ import annotations

from typing import Annotated

import typer

from galago import config
from galago.cli.album import album
from galago.cli.bench import bench
from galago.cli.cache import cache
from galago.cli.chat import chat
from galago.cli.classify import classify
from galago.cli.completion import InstallCompletion, ShowCompletion, learn_shells
from galago.cli.describe import describe
from galago.cli.doctor import doctor
from galago.cli.duplicates import duplicates
from galago.cli.embed import embed
from galago.cli.evaluate import evaluate
from galago.cli.export import export
from galago.cli.finetune import finetune
from galago.cli.forget import forget
from galago.cli.index import index
from galago.cli.lance_index import lance_index
from galago.cli.mcp import mcp
from galago.cli.models import models
from galago.cli.pull import pull
from galago.cli.reinforce import reinforce
from galago.cli.search import search
from galago.cli.serve import serve
from galago.cli.train_clip import train_clip
from galago.cli.use import use
from galago.cli.verbs import Verbs
from galago.cli.watch import watch
from galago.version import __version__

__all__ = ["app"]

learn_shells()
app = typer.Typer(
    name="galago",
    cls=Verbs,
    add_completion=False,  # galago.cli.completion: Typer's options ignore which shell is named
    help="Questions about pictures, answered on this computer: nothing leaves it.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: the same text in a terminal, a pipe and the docs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"galago {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Start with: galago describe PICTURE. Exit codes: 0 done, 1 some pictures of many "
    "failed, 2 nothing could be done."
)
def galago(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
    install_completion: InstallCompletion = None,
    show_completion: ShowCompletion = None,
) -> None:
    """Questions about pictures, answered on this computer: nothing leaves it."""
    context.default_map = _defaults()


def _defaults() -> dict[str, dict[str, object]]:
    """What the person's settings say of options that are not given, by verb."""
    own = config.read()
    every = {
        "precision": (own.precision, ("describe", "watch", "chat", "serve", "mcp")),
        "album": (own.album, ("index", "search", "duplicates", "album", "forget", "serve", "mcp")),
        "port": (own.port, ("serve",)),
    }
    found: dict[str, dict[str, object]] = {}
    for option, (value, verbs) in every.items():
        for verb in verbs if value is not None else ():
            # The verb `album` calls it a name, as its function can't have a parameter of its own.
            own_name = "name" if verb == option == "album" else option
            found.setdefault(verb, {})[own_name] = value
    return found


for _verb in (
    *(describe, watch, chat, index, search, duplicates, album, forget, classify, embed),
    *(
        lance_index,
        serve,
        mcp,
        models,
        pull,
        use,
        cache,
        finetune,
        reinforce,
        train_clip,
        evaluate,
        export,
        doctor,
    ),
    bench,
):
    if isinstance(_verb, typer.Typer):  # a verb of several words
        app.add_typer(_verb)
    else:
        app.command()(_verb)
