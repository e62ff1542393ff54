"""A person's own defaults: a small TOML file that `galago use` or an editor writes.

    # ~/.config/galago/config.toml
    model = "apple/FastVLM-0.5B"     # answers questions
    clip = "MobileCLIP2-S0"          # finds photos, for new albums
    precision = "int8"
    album = "holiday"
    port = 8000

An option of the command line wins over the environment, and that over this file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from galago.errors import OptionError
from galago.places import config_file

__all__ = ["Config", "changed", "read"]

_LARGEST = 1 << 16  # bytes; more is some other file


@dataclass(frozen=True)
class Config:
    """What the file says; None where it says nothing."""

    model: str | None = None
    clip: str | None = None
    precision: str | None = None
    album: str | None = None
    port: int | None = None


def read() -> Config:
    """The file's values; all None where there is none.

    Raises OptionError for a file that can't be understood, naming it and what to change.
    """
    path = config_file()
    text = _text(path)
    if text is None:
        return Config()
    import tomlkit
    from tomlkit.exceptions import ParseError

    try:
        values = tomlkit.parse(text).unwrap()
    except (ParseError, RecursionError) as error:
        raise OptionError(f"{path} isn't TOML ({error}): mend it, or delete it") from None
    known = {field.name: int if field.name == "port" else str for field in fields(Config)}
    for key, value in values.items():
        if key not in known:
            raise OptionError(f"{path}: {key!r} is not known; use {', '.join(known)}")
        if type(value) is not known[key] or value == "":
            kind = "a whole number" if known[key] is int else 'a text, as in "…"'
            raise OptionError(f"{path}: {key} must be {kind}")
    return Config(**values)


def changed(key: str, value: str | None) -> bytes:
    """The file's new content with one value set, or taken out for None; the rest stays as it is.

    Raises OptionError for a file that can't be understood: it is not to be written over.
    """
    read()
    import tomlkit

    document = tomlkit.parse(_text(config_file()) or "")
    if value is None:
        document.pop(key, None)
    else:
        document[key] = value
    return tomlkit.dumps(document).encode()


def _text(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _LARGEST:
            raise OptionError(f"{path} is too large for galago's settings: delete it")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise OptionError(f"{path} is no UTF-8 text: mend it, or delete it") from None
    except OSError as error:
        raise OptionError(f"{path} can't be read: {os.strerror(error.errno or 0)}") from None
