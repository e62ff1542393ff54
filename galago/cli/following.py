"""`galago index --watch`: the album is kept up to date until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from galago.cli.terminal import complain, say, shown
from galago.errors import GalagoError

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from galago.album import IndexOptions, Summary

__all__ = ["keep_up"]


def keep_up(
    folder: Path,
    named: Sequence[str],
    update: Callable[[IndexOptions], Summary],
    tell: Callable[[Summary], None],
    stop: threading.Event | None = None,
) -> None:
    """Index what changes under the folders named, or all of the album; until `stop` or Ctrl-C."""
    from galago.album import IndexOptions, Store
    from galago.album.following import follow
    from galago.album.kinds import counted, wanted
    from galago.album.scan import as_roots, within

    with Store.open(folder) as store:
        known = store.folders()
    roots = as_roots(named) or tuple(known)
    # A named one may be part of another that the album has.
    walked = [
        one for one in known if within(one, roots) or any(within(root, {one}) for root in roots)
    ]
    say(f"watching {counted(len(roots), 'folder')} for changes; Ctrl-C ends it")
    for there in follow(roots, wanted(), report=_moved, stop=stop):
        away = [
            one
            for one in known
            if one not in walked or within(one, set(roots) - there) or not _reached(one, there)
        ]
        if len(away) == len(known):
            continue
        try:
            summary = update(IndexOptions(away=frozenset(away)))
        except GalagoError as error:  # a full disk, no picture left: the next change tries again
            complain(str(error))
            continue
        tell(summary)


def _reached(folder: str, there: frozenset[str]) -> bool:
    """Whether one of the watched folders lies in it or holds it."""
    from galago.album.scan import within

    return within(folder, there) or any(within(one, {folder}) for one in there)


def _moved(folder: str, there: bool) -> None:
    if there:
        say(f"{shown(folder)} is back")
    else:
        say(f"{shown(folder)} isn't there any more; its photos stay in the album")
