"""Which folders make up an album: those named, how each is walked, and those taken out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping

from galago.album.fields import patterns_of
from galago.album.scan import SKIPPED, UNWANTED, Rules, within
from galago.album.store import Store

__all__ = ["excluded", "known", "remember", "restore", "to_walk"]

# The first ones of SKIPPED.
_FIRST = {"#recycle", "$RECYCLE.BIN", "*.lrdata", "@eaDir", "System Volume Information", "__MACOSX"}


def known(store: Store) -> dict[str, Rules]:
    """The folders indexed before, and how each is walked."""
    found = store.db.execute("SELECT path, hidden, skip FROM folders")
    return {
        os.fsdecode(path): Rules(bool(hidden), SKIPPED if skip is None else _skip(skip))
        for path, hidden, skip in found
    }


def _skip(kept: str) -> tuple[str, ...]:
    """The patterns of a folder: with what is left out as a rule go those that were added since."""
    skip = patterns_of(kept) or ()
    return tuple(dict.fromkeys((*SKIPPED, *skip))) if set(skip) >= _FIRST else skip


def excluded(store: Store) -> frozenset[str]:
    """The folders taken out, which no walk enters until they are named again."""
    found = store.db.execute("SELECT path FROM excluded")
    return frozenset(os.fsdecode(path) for (path,) in found)


def to_walk(
    old: Mapping[str, Rules], named: Collection[str], given: Rules, every: bool
) -> tuple[dict[str, Rules], tuple[str, ...]]:
    """All folders of the album from now on, and those to walk.

    Naming a folder sets its rules anew; given for none they are added to those of all. Of the known
    folders those inside a named one are walked too, as a walk may not reach them by itself.
    """
    folders = dict.fromkeys(named, given) | {
        path: rules for path, rules in old.items() if path not in named
    }
    if not named and given != Rules():
        folders = {path: rules.and_also(given) for path, rules in folders.items()}
    walked = (path for path in folders if every or not named or within(path, named))
    return folders, tuple(walked)


def remember(store: Store, folders: Mapping[str, Rules], named: Collection[str]) -> None:
    """Note the folders of the album; one that another's walk reaches is part of that one."""
    out = excluded(store) - set(named)
    restore(
        store,
        {path: rules for path, rules in folders.items() if not _reached(path, folders, out)},
        out,
    )


def restore(store: Store, folders: Mapping[str, Rules], out: Collection[str]) -> None:
    """Set both lists."""
    with store.transaction():
        store.db.execute("DELETE FROM folders")
        store.db.executemany(
            "INSERT INTO folders (path, hidden, skip) VALUES (?, ?, ?)",
            [
                (
                    os.fsencode(path),
                    rules.hidden,
                    None if rules.skip == SKIPPED else json.dumps(rules.skip),
                )
                for path, rules in sorted(folders.items())
            ],
        )
        store.db.execute("DELETE FROM excluded")
        store.db.executemany(
            "INSERT INTO excluded VALUES (?)", [(os.fsencode(path),) for path in sorted(out)]
        )


def _reached(path: str, folders: Mapping[str, Rules], out: Collection[str]) -> bool:
    """Whether the walk of a folder further up comes here, by the same rules."""
    at = path
    if os.path.lexists(os.path.join(at, UNWANTED)):
        return False
    while (up := os.path.dirname(at)) != at:
        above = folders.get(up)
        if above is not None:
            return above == folders[path] and above.reaches(up, path, is_folder=True)
        if up in out:
            return False
        at = up
        if os.path.lexists(os.path.join(at, UNWANTED)):
            return False
    return False
