"""What the disk or the database of an album refuses, as one line that says what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from galago.disk import refusals
from galago.errors import StorageError

__all__ = ["clear_errors"]


@contextlib.contextmanager
def clear_errors(folder: Path) -> Iterator[None]:
    """What the disk or the database refuses, as one line that says what to do."""
    refused = refusals(
        full=_full(folder),
        closed=_closed(folder),
        other=lambda error: f"{folder} can't be used: {error.strerror or error}",
    )
    with refused:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(_database_line(folder, str(error))) from error


def _full(folder: Path) -> str:
    return (
        f"the disk with {folder} is full: make room and run the same command, or set GALAGO_ALBUMS "
        "to a folder on a larger disk; what was indexed before is kept"
    )


def _closed(folder: Path) -> str:
    return f"{folder} can't be written: set GALAGO_ALBUMS to a folder that can"


def _database_line(folder: Path, reason: str) -> str:
    if "full" in reason:
        return _full(folder)
    if "readonly" in reason or "unable to open" in reason:
        return _closed(folder)
    if "locked" in reason:
        return f"{folder} is locked by another program: wait for it, then try again"
    if "malformed" in reason or "not a database" in reason:
        return f"{folder} is damaged ({reason}): delete it and index again"
    return f"{folder} can't be used ({reason}): is its disk full or failing?"
