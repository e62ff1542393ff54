"""What the verbs of albums share: their options, and how they tell what an answer is without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago import catalog
from galago.cli import options
from galago.cli.terminal import say, write_record

if TYPE_CHECKING:
    from galago.album import LeftOut

__all__ = [
    "AlbumName",
    "ModelName",
    "complete_album",
    "folder_of",
    "say_left_out",
    "source_of",
    "write_left_out",
]


def complete_album(incomplete: str) -> Iterator[str]:
    from galago.album import album_names

    return (name for name in album_names() if name.startswith(incomplete))


AlbumName = Annotated[
    str | None,
    typer.Option(
        "--album",
        metavar="NAME",
        help="Another album than the one called default.",
        autocompletion=complete_album,
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A MobileCLIP, as for classify; the album's own by default, the best that is here for "
        "a new one.",
        autocompletion=options.complete_clip,
    ),
]


def folder_of(album: str | None) -> Path:
    """The folder of the album that was asked for."""
    from galago.album import album_folder

    return album_folder() if album is None else album_folder(album)


def source_of(model: str) -> str:
    """What will open this model again, from any folder."""
    row = catalog.find(model)
    if row is not None:
        return row.name
    path = os.path.expanduser(model)
    return os.path.abspath(path) if os.path.exists(path) else model


def say_left_out(left_out: LeftOut, folder: Path) -> None:
    """Tell the person what an answer is without, if it is without anything."""
    from galago.album.names import option

    if left_out:
        say(
            f"{left_out.sentence()}; to bring the album up to date: "
            f"galago index{option(folder.name)}"
        )


def write_left_out(left_out: LeftOut, **more: Any) -> None:
    """The same as the last object of --json."""
    if left_out:
        counts = {"missing": left_out.missing, "changed": left_out.changed}
        write_record({**more, "left_out": counts})
