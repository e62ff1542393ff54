"""Where albums live, and what they may be called."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from galago.errors import OptionError

__all__ = ["DATABASE", "DEFAULT", "album_folder", "album_names", "albums_dir", "option"]

DEFAULT = "default"
DATABASE = "album.sqlite"


def albums_dir() -> Path:
    """GALAGO_ALBUMS, else galago's place in the platform's folder for data of programs."""
    if own := os.environ.get("GALAGO_ALBUMS"):
        return Path(os.path.expanduser(own))
    if sys.platform == "darwin":
        base = "~/Library/Application Support"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.path.expanduser(base)) / "galago" / "albums"


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


def option(name: str) -> str:
    """What names an album in a command, with a blank before it; nothing for the default one."""
    return f" --album {shlex.quote(name)}" if name != DEFAULT else ""
