"""What can go wrong, as one small tree.

Every message is one line that says what happened and what to do about it.  The command line turns
any of these into exit code 2.

::

    GalagoError
    ├── ImageError           a picture that can't be opened, decoded or is too large
    │   ├── UnopenedError        a picture that was given up; another time it may open
    │   └── VideoError           a video, camera or screen that gives no pictures
    │       └── CutShortError        a video that could be read only in part
    ├── OptionError          an argument outside what is allowed (resolution, precision, prompt …)
    ├── ModelError
    │   ├── UnknownModelError    no such model name, and no such folder
    │   ├── MisfitError          a model that finds pictures where one that speaks is needed, or so
    │   ├── CheckpointError      files missing or damaged, tensors missing or of the wrong shape
    │   ├── SelfCheckError       a conversion that strays too far from the full-precision model
    │   └── ExportError          an export that can't be read back, or strays as well
    ├── HubError             fetching a model failed
    │   └── OfflineError         fetching was needed but is not allowed
    ├── UnfinishedError      an answer in a form, such as JSON, that was cut before its end
    ├── StorageError         disk full, folder not writable, lock held by another process
    └── MissingExtraError    an optional part of galago is not installed
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "CheckpointError",
    "CutShortError",
    "ExportError",
    "GalagoError",
    "HubError",
    "ImageError",
    "MisfitError",
    "MissingExtraError",
    "ModelError",
    "OfflineError",
    "OptionError",
    "SelfCheckError",
    "StorageError",
    "UnfinishedError",
    "UnopenedError",
    "UnknownModelError",
    "VideoError",
    "install_line",
]


class GalagoError(Exception):
    """Anything galago raises on purpose."""


class ImageError(GalagoError):
    """A picture that can't be opened, decoded, or is too large to be one."""


class UnopenedError(ImageError):
    """A picture whose opening was given up; another time it may succeed."""


class VideoError(ImageError):
    """A video, a camera or a screen that gives no pictures."""


class CutShortError(VideoError):
    """A video that could be read only in part; raised after the last frame that could."""


class OptionError(GalagoError):
    """An argument outside what is allowed."""


class ModelError(GalagoError):
    """A model that can't be used."""


class UnknownModelError(ModelError):
    """Neither a known model name nor a folder: `name`; `near` are known names that look like it."""

    def __init__(self, message: str, *, name: str = "", near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name, self.near = name, tuple(near)


class MisfitError(ModelError):
    """The model called `name` is of a `kind` that doesn't do what was asked of it."""

    def __init__(self, message: str, *, name: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.name, self.kind = name, kind


class CheckpointError(ModelError):
    """Files or tensors of a checkpoint are missing, damaged, or not of the expected kind."""


class SelfCheckError(ModelError):
    """A converted model strays from the full-precision one by more than the stated bound."""


class ExportError(ModelError):
    """An exported model can't be read back, or strays from its source by more than the bound."""


class HubError(GalagoError):
    """Fetching a model failed."""


class OfflineError(HubError):
    """A model has to be fetched, but galago was told to stay offline."""


class UnfinishedError(GalagoError):
    """An answer in a form, such as JSON, that was cut before its end; `text` is what there is."""

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class StorageError(GalagoError):
    """The disk is full, a folder can't be written, or another process holds the lock."""


class MissingExtraError(GalagoError):
    """An optional part of galago is not installed; the message holds the line that installs it.

    `what` is the message without that line, which names a place on this computer; `extra` the part.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what}; to install the extra {extra}: {install_line(extra)}")
        self.what, self.extra = what, extra


def install_line(*extras: str) -> str:
    """The command that adds the packages of extras to the environment that galago runs in.

    By the packages' own names, as the installed galago lists them: on an index its own name would
    be somebody else's. Quoted for a shell of this system.
    """
    from packaging.requirements import Requirement

    try:
        listed = [Requirement(line) for line in importlib.metadata.requires("galago") or ()]
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        names = ",".join(extras)
        return f"pip install {_quoted(f'.[{names}]')} in galago's own folder"
    packages: dict[str, None] = {}
    wanted = list(extras)
    for extra in wanted:  # which grows: an extra may hold another one of ours
        for one in listed:
            if not (one.marker and one.marker.evaluate({"extra": extra})):
                continue
            if one.name == "galago":
                wanted += [other for other in sorted(one.extras) if other not in wanted]
            else:
                packages[str(one).partition(";")[0].strip()] = None
    return " ".join(map(_quoted, [*_installer(), *packages]))


def _installer() -> list[str]:
    home = Path(sys.prefix)
    if (home / "pipx_metadata.json").is_file():
        return ["pipx", "inject", home.name]
    if importlib.util.find_spec("pip") is None:  # environments that uv made have none
        return ["uv", "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]


_WINDOWS = os.name == "nt"


def _quoted(word: str) -> str:
    if not _WINDOWS:
        return shlex.quote(word)
    return word if re.fullmatch(r"[\w@%+=:,./\\-]+", word) else f'"{word}"'
