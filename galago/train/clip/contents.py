"""What a teacher or a captioner is where its name doesn't say it: what its files hold.

A tag of open_clip's and a model of the hub are the same weights wherever they lie; a folder, a file
of weights and what comes with galago may hold others tomorrow under the same name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from galago.disk import file_sha256
from galago.errors import OptionError
from galago.hub.resolve import local, understand
from galago.places import as_path

__all__ = ["contents_of"]

# Configurations, tokenizers and weights; a page about them or a log may change.
_KINDS = {".json", ".txt", ".model", ".safetensors", ".bin", ".pt", ".pth"}


def contents_of(names: Iterable[str]) -> dict[str, str]:
    """By name, for those whose files lie here: 32 letters of what these hold.

    OptionError for files that can't be read.
    """
    places = {name: _place(name) for name in names}
    return {name: _digest(place) for name, place in places.items() if place is not None}


def _place(name: str) -> Path | None:
    """The folder or the file that a name of a teacher or of a captioner means, if it means one."""
    kind, _, rest = name.partition(":")
    if kind == "open_clip":
        return _there(rest.partition(":")[2])
    if kind != "galago":
        return _there(name)
    if rest == "conse":  # comes inside packages
        return None
    known = local(understand(rest))
    if known is None:
        return _there(rest)
    return None if known.remote else known.folder


def _there(text: str) -> Path | None:
    path = as_path(text)
    return path if text and os.path.exists(path) else None


def _digest(place: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    try:
        files = [place] if place.is_file() else sorted(place.iterdir())
        for file in files:
            if file.is_file() and (file == place or file.suffix.lower() in _KINDS):
                found.update(f"{file.name} {file_sha256(file)}\n".encode())
    except OSError as error:
        raise OptionError(f"{place} can't be read ({error.strerror or error})") from None
    return found.hexdigest()
