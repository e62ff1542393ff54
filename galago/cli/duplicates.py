"""`galago duplicates`: photos that are the same, or nearly."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import albums, sheets
from galago.cli.terminal import path_fields, say, shown, stages, write, write_record
from galago.progress import Stage
from galago.text.visible import visible

if TYPE_CHECKING:
    from galago.album import Copy, Duplicates
    from galago.media.pool import PicturePool

__all__ = ["duplicates"]


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
    album: albums.AlbumName = None,
) -> None:
    """Show groups of near-identical photos.

    Each line is the likeness to the group's first, which is the largest file, and a path; "same"
    is the same content, byte for byte, and no other likeness reaches 1. Copies show the same
    details: other sizes, qualities and brightnesses of one picture, not other pages of a text nor
    the next shot. Every file is looked up: what is gone or changed since it was indexed is left
    out. Nothing is deleted.

    \b
    Examples:
      galago duplicates
      galago duplicates --threshold 0.99 --json > copies.jsonl
      galago duplicates --alike
      galago duplicates --open
    """
    from galago.album import NEAR, find_duplicates
    from galago.media.pool import PicturePool

    sheets.check_page(html)
    comparing = Stage("comparing")
    folder = albums.folder_of(album)
    with stages() as progress, PicturePool() as pool:
        groups = find_duplicates(
            folder,
            NEAR if threshold is None else threshold,
            lambda share: progress(comparing, share),
            alike=alike,
            load_grey=pool.load_grey,
        )
    for number, group in enumerate(groups):
        if as_json:
            write_record(_record(group))
        else:
            write(("\n" if number else "") + _lines(group))
    if as_json:
        albums.write_left_out(groups.left_out, photos=[])
    albums.say_left_out(groups.left_out, folder)
    if groups:
        count = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
        say(f"{count} of {sum(map(len, groups)):,} photos")
        if html is not None or view:
            _write_page(folder.name, groups, html, view)
    else:
        say("no photo is a copy of another" if groups.alike else "no two photos are alike")
    if groups.alike:
        others = f"{groups.alike:,} photos are" if groups.alike > 1 else "1 photo is"
        say(f"{others} like another in other details; --alike shows those too")


def _write_page(album: str, groups: Duplicates, html: str | None, view: bool) -> None:
    from galago.media.pool import PicturePool

    with stages() as progress, PicturePool() as pool:
        progress(Stage("writing the page"), 0)
        sheets.write_page(_page(album, groups, pool), html, view)


def _page(album: str, groups: Duplicates, pool: PicturePool) -> Iterator[str]:
    """The groups to look at, with what one decides by."""
    from galago.album import grouped_sheet

    note = groups.left_out.sentence() if groups.left_out else ""
    headed = (
        (f"Group {number}: {len(group)} photos", ((one.path, _facts(one, pool)) for one in group))
        for number, group in enumerate(groups, 1)
    )
    return grouped_sheet(f"copies in album {visible(album)}", headed, note, pool.thumbnail)


def _facts(copy: Copy, pool: PicturePool) -> list[str]:
    """Name, folder, pixels, bytes and day of a photo."""
    from galago.errors import ImageError

    name, likeness = os.path.basename(copy.path), _likeness(copy)
    size, day = f"{copy.size / 1e6:.2f} MB", ""
    with contextlib.suppress(OSError, OverflowError, ValueError):
        day = f"file of {datetime.fromtimestamp(os.stat(copy.path).st_mtime):%Y-%m-%d %H:%M}"
    with contextlib.suppress(ImageError):
        about = pool.about(copy.path)
        size = f"{about.size[0]} × {about.size[1]}, {size}"
        day = f"taken {about.taken[:16]}" if about.taken else day
    told = "the same content" if likeness == "same" else f"likeness {likeness}"
    return [visible(name), visible(os.path.dirname(copy.path)), size, day, told]


def _lines(group: list[Copy]) -> str:
    return "".join(f"{_likeness(copy):5}  {shown(copy.path)}\n" for copy in group)


def _likeness(copy: Copy) -> str:
    return "same" if copy.same else f"{min(copy.likeness, 0.999):.3f}"


def _record(group: list[Copy]) -> dict[str, object]:
    photos = [
        {
            **path_fields(copy.path),
            "bytes": copy.size,
            "likeness": 1.0 if copy.same else min(round(copy.likeness, 4), 0.9999),
            "same": copy.same,
        }
        for copy in group
    ]
    return {"photos": photos}
