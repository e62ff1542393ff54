"""What albums may be called, and the folder of each."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from galago.errors import OptionError
from galago.places import albums_dir

__all__ = ["DATABASE", "DEFAULT", "album_folder", "album_names", "option", "place_of"]

DEFAULT = "default"
DATABASE = "album.sqlite"


def album_folder(name: str = DEFAULT) -> Path:
    """The folder of an album, made or not; OptionError for a name that would lead elsewhere."""
    unprintable = not name.isprintable()
    if (
        not name.strip()
        or unprintable
        or len(os.fsencode(name)) > 200
        or set(name) & set('/\\:*?"<>|')
    ):
        raise OptionError(f"an album can't be called {name!r}; use letters, digits and hyphens")
    if name.startswith(".") or name != name.strip():
        raise OptionError(f"an album can't be called {name!r}; begin it with a letter or digit")
    return albums_dir() / name


def album_names() -> list[str]:
    """The albums there are, by name."""
    return sorted(path.parent.name for path in albums_dir().glob(f"*/{DATABASE}"))


def place_of(folder: Path) -> tuple[int, int] | None:
    """What tells an album's database from another one by the same name; None without one."""
    try:
        found = os.stat(folder / DATABASE)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def option(name: str) -> str:
    """What names an album in a command, with a blank before it; nothing for the default one."""
    return f" --album {shlex.quote(name)}" if name != DEFAULT else ""
