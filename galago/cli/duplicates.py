"""`galago duplicates`: photos that are the same, or nearly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galago.cli import albums, copies, options, sheets
from galago.cli.terminal import say, stages
from galago.errors import OptionError
from galago.progress import Stage

__all__ = ["duplicates"]

_COMPARING = Stage("comparing")


def duplicates(
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="C",
            help="Cosine from which two photos count as one, 0.5 to 1; 0.96 by default.",
        ),
    ] = None,
    alike: Annotated[
        bool,
        typer.Option(
            "--alike",
            help="Also photos that are alike without being copies: bursts, pages of text.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a group, on a line of its own.")
    ] = False,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a page with the groups, their sizes and dates."),
    ] = None,
    view: Annotated[bool, typer.Option("--open", help="Open such a page in the browser.")] = False,
    lance: Annotated[
        str | None,
        typer.Option(
            metavar="OUT",
            help="Pictures of a table of galago embed (.lance, .parquet), not of an album.",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="SQL", help='Of a Lance table: rows that fulfil this, as "width > 1000".'
        ),
    ] = None,
    album: albums.AlbumName = None,
    offline: options.Offline = False,
) -> None:
    """Show groups of near-identical photos.

    Each line is the likeness to the group's first, which is the largest file, and a path; "same"
    is the same content, byte for byte, and no other likeness reaches 1. Copies show the same
    details: other sizes, qualities and brightnesses of one picture, not other pages of a text nor
    the next shot. Every file is looked up: what is gone or changed since it was indexed is left
    out. Nothing is deleted. In a table "same" is the same sha256 when the table was made.

    \b
    Examples:
      galago duplicates
      galago duplicates --threshold 0.99 --json > copies.jsonl
      galago duplicates --alike
      galago duplicates --open
      galago duplicates --lance pictures.lance
    """
    from galago.album import NEAR

    sheets.check_page(html)
    chosen = NEAR if threshold is None else threshold
    if lance is not None:
        if album is not None:
            raise OptionError("--album and --lance are two places: name one of them")
        _of_table(lance, where or "", chosen, alike, as_json, (html, view), offline)
    elif where is not None:
        raise OptionError("--where is for tables: name one with --lance OUT")
    else:
        _of_album(albums.folder_of(album), chosen, alike, as_json, (html, view))


def _of_album(
    folder: Path, threshold: float, alike: bool, as_json: bool, page: tuple[str | None, bool]
) -> None:
    from galago.album import find_duplicates
    from galago.media.pool import PicturePool

    with stages() as progress, PicturePool() as pool:
        groups = find_duplicates(
            folder,
            threshold,
            lambda share: progress(_COMPARING, share),
            alike=alike,
            load_grey=pool.load_grey,
        )
    copies.write_groups(groups, as_json)
    if as_json:
        albums.write_left_out(groups.left_out, photos=[])
    albums.say_left_out(groups.left_out, folder)
    copies.tell_groups(groups)
    if groups and any(page):
        copies.write_page(f"copies in album {folder.name}", groups, *page)


def _of_table(
    place: str,
    where: str,
    threshold: float,
    alike: bool,
    as_json: bool,
    page: tuple[str | None, bool],
    offline: bool,
) -> None:
    from galago.cli.search_table import opened
    from galago.media.pool import PicturePool
    from galago.scale.duplicates import find_duplicates
    from galago.scale.pictures import Pictures

    reader, pictures = opened(place, offline), Pictures(offline)
    failed = reader.failed(where)
    with stages() as progress, PicturePool() as pool:
        groups = find_duplicates(
            reader,
            threshold,
            lambda share: progress(_COMPARING, share),
            where=where,
            alike=alike,
            read=pictures.read,
            load_grey=pool.load_grey,
        )
    copies.write_groups(groups, as_json)
    if failed:
        say(f"left out: {failed:,} rows have an error and no vector")
    copies.tell_groups(groups)
    if groups.unopened:
        say(
            f"{groups.unopened:,} pictures are near another and can't be read here, so that "
            "their details weren't compared; --alike goes by vectors alone"
        )
    if groups and any(page):
        copies.write_page(f"copies in {reader.place}", groups, *page, pictures.read)
