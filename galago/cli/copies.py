"""Groups of photos that are copies, as lines, records or a page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from galago.cli import sheets
from galago.cli.terminal import path_fields, say, shown, stages, write, write_record
from galago.progress import Stage
from galago.text.visible import visible

if TYPE_CHECKING:
    from galago.album import Copy, Duplicates
    from galago.media.images import Source
    from galago.media.pool import PicturePool

__all__ = ["tell_groups", "write_groups", "write_page"]

Picture = Callable[[str], "Source"]  # what opens a picture by its name: its path, or its bytes


def write_groups(groups: Duplicates, as_json: bool) -> None:
    """To stdout."""
    for number, group in enumerate(groups):
        if as_json:
            write_record(_record(group))
        else:
            write(("\n" if number else "") + _lines(group))


def tell_groups(groups: Duplicates) -> None:
    """How many there are, and what is no copy, on stderr."""
    if groups:
        count = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
        say(f"{count} of {sum(map(len, groups)):,} photos")
    else:
        say("no photo is a copy of another" if groups.alike else "no two photos are alike")
    if groups.alike:
        others = f"{groups.alike:,} photos are" if groups.alike > 1 else "1 photo is"
        say(f"{others} like another in other details; --alike shows those too")


def write_page(
    title: str, groups: Duplicates, html: str | None, view: bool, picture: Picture = str
) -> None:
    """A page with the groups to look at, and what one decides by."""
    from galago.media.pool import PicturePool

    with stages() as progress, PicturePool() as pool:
        progress(Stage("writing the page"), 0)
        sheets.write_page(_page(title, groups, pool, picture), html, view)


def _page(title: str, groups: Duplicates, pool: PicturePool, picture: Picture) -> Iterator[str]:
    from galago.album import grouped_sheet

    note = groups.left_out.sentence() if groups.left_out else ""
    headed = (
        (
            f"Group {number}: {len(group)} photos",
            ((one.path, _facts(one, pool, picture)) for one in group),
        )
        for number, group in enumerate(groups, 1)
    )

    def thumbnail(path: str, side: int) -> bytes:
        return pool.thumbnail(picture(path), side, name=path)

    return grouped_sheet(visible(title), headed, note, thumbnail, os.path.exists)


def _facts(copy: Copy, pool: PicturePool, picture: Picture) -> list[str]:
    """Name, folder, pixels, bytes and day of a photo."""
    from galago.errors import ImageError

    name, likeness = os.path.basename(copy.path), _likeness(copy)
    size, day = f"{copy.size / 1e6:.2f} MB", ""
    with contextlib.suppress(OSError, OverflowError, ValueError):
        day = f"file of {datetime.fromtimestamp(os.stat(copy.path).st_mtime):%Y-%m-%d %H:%M}"
    with contextlib.suppress(ImageError):
        about = pool.about(picture(copy.path))
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
