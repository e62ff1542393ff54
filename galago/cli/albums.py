"""What the verbs of albums share: their options, and paths made safe to print."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from galago import catalog
from galago.cli import options

__all__ = ["AlbumName", "ModelName", "folder_of", "source_of"]


def _complete_album(incomplete: str) -> Iterator[str]:
    from galago.album import album_names

    return (name for name in album_names() if name.startswith(incomplete))


AlbumName = Annotated[
    str | None,
    typer.Option(
        "--album",
        metavar="NAME",
        help="Another album than the one called default.",
        autocompletion=_complete_album,
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help=f"A MobileCLIP, as for classify; the album's own by default, {catalog.DEFAULT_CLIP} "
        "for a new one.",
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
