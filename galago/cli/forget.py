"""`galago forget`: what a camera saw leaves an album for good."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import albums
from galago.cli.durations import length_of
from galago.cli.terminal import say, shown, write
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.album.forgetting import Span

__all__ = ["forget"]


def forget(
    album: albums.AlbumName = None,
    last: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What was seen in the last 90s, 45m, 1h or 7d."),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What is older than that: 12h, 30d."),
    ] = None,
    all_seen: Annotated[bool, typer.Option("--all-seen", help="All that a camera saw.")] = False,
) -> None:
    """Forget what a camera saw.

    Pictures, captions, times and vectors leave the disk at once, and what they were is overwritten
    in the album's files. Scenes that are on their way from a running `galago watch` or from the
    page don't come in afterwards. Photos are never touched; a folder of photos leaves an album by
    `galago album --forget FOLDER`.

    \b
    Examples:
      galago forget --last 1h
      galago forget --before 30d --album door
      galago forget --all-seen --album door
    """
    from galago.album.forgetting import Span

    given = [last is not None, before is not None, all_seen]
    if sum(given) != 1:
        raise OptionError("say what to forget: one of --last 1h, --before 30d or --all-seen")
    now = time.time()
    if last is not None:
        span = Span(since=now - length_of("--last", last))
    elif before is not None:
        span = Span(until=now - length_of("--before", before))
    else:
        span = Span()
    _forget(albums.folder_of(album), span)


def _forget(folder: Path, span: Span) -> None:
    from galago.album.forgetting import count_seen, forget_seen
    from galago.album.kinds import counted
    from galago.album.refusals import clear_errors
    from galago.album.store import Store, write_lock

    Store.open(folder).close()  # says so when there is none
    with clear_errors(folder), write_lock(folder, say), Store.open(folder, write=True) as store:
        count = forget_seen(store, span)
        left = count_seen(store)
    write(f"{counted(count, 'scene')} left album {shown(folder.name)}; {left:,} remain\n")
