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
    │   └── SelfCheckError       a conversion that strays too far from the full-precision model
    ├── HubError             fetching a model failed
    │   └── OfflineError         fetching was needed but is not allowed
    ├── UnfinishedError      an answer in a form, such as JSON, that was cut before its end
    ├── StorageError         disk full, folder not writable, lock held by another process
    └── MissingExtraError    an optional part of galago is not installed
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "CheckpointError",
    "CutShortError",
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
    """An optional part of galago is not installed; the message holds the line that installs it."""
