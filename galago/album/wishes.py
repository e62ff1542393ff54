"""What was asked for an album once and holds for later runs, until something else is."""

from __future__ import annotations

from typing import Literal

from galago.album.store import Store

__all__ = ["Wish", "unwish", "wish", "wished"]

# read: the model that reads, '' for the best that is here; videos: 'no'
Wish = Literal["read", "videos"]


def wished(store: Store, what: Wish) -> str | None:
    """What was asked for; None when nothing was."""
    found = store.db.execute("SELECT value FROM wishes WHERE name = ?", (what,)).fetchone()
    return str(found[0]) if found else None


def wish(store: Store, what: Wish, value: str) -> None:
    """Under the album's lock."""
    store.db.execute("INSERT OR REPLACE INTO wishes VALUES (?, ?)", (what, value))


def unwish(store: Store, what: Wish) -> None:
    """As if it had never been asked for.  Under the album's lock."""
    store.db.execute("DELETE FROM wishes WHERE name = ?", (what,))
