"""A folder of folders of pictures: what a folder is called is the answer for those inside."""

from __future__ import annotations

import os
from collections.abc import Iterator

from galago.errors import OptionError
from galago.media.images import PICTURE_SUFFIXES
from galago.rows.records import ABOUT_LABELS, Data
from galago.rows.rows import PhotoFile, Row, Turn

__all__ = ["FOLDERS", "LabelledRows", "has_labels", "in_words", "read_labelled"]

FOLDERS = "folders of labels"  # the kind of such data
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def has_labels(folder: str) -> bool:
    """Whether a folder has folders with pictures in them."""
    return any(next(_pictures(inner), None) is not None for inner in _folders(folder))


def in_words(label: str) -> str:
    """A folder's name as an answer: "golden_retriever" says "golden retriever"."""
    return " ".join(label.replace("_", " ").split())


def read_labelled(folder: str, question: str | None) -> Data:
    """A row a picture, in the order of names: "What is this?" unless another question is given.

    Folders inside a label's folder belong to it; links to folders there aren't followed.
    OptionError for a folder whose labels would be "train" and "test".
    """
    labels: list[str] = []
    files: list[tuple[int, str]] = []
    empty = []
    for inner in _folders(folder):
        label = os.path.basename(inner)
        found = [os.path.relpath(path, folder) for path in _pictures(inner)]
        if not found:
            empty.append(label)
            continue
        files += [(len(labels), path) for path in sorted(found)]
        labels.append(label)
    if splits := [label for label in labels if label.lower() in _SPLITS]:
        raise OptionError(
            f"{folder} has a folder {splits[0]!r}, which is no label: give "
            f"{os.path.join(folder, splits[0])}"
        )
    asked = ABOUT_LABELS if question is None else question
    notes = [f"{_some(map(in_words, labels))}; asked about each: {asked!r}"]
    if empty:
        notes.append(f"without a picture: {', '.join(empty[:5])}{', …' if empty[5:] else ''}")
    if loose := sum(_is_picture(entry.name) for entry in os.scandir(folder)):
        several = "" if loose == 1 else "s"
        notes.append(f"left out, as they lie in no folder of a label: {loose} picture{several}")
    rows = LabelledRows(folder, asked, labels, files)
    return Data(folder, FOLDERS, rows, tuple(notes), "", True)


class LabelledRows:
    """Pictures with the label of the folder that they lie in."""

    def __init__(
        self, folder: str, question: str, labels: list[str], files: list[tuple[int, str]]
    ) -> None:
        self._folder, self._question = folder, question
        self._labels, self._files = labels, files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Row:
        label, path = self._files[index]
        photo = PhotoFile(path, os.path.join(self._folder, path))
        return Row((photo,), (Turn(self._question, in_words(self._labels[label])),), path)


def _folders(folder: str) -> list[str]:
    """The folders of a folder, by name, without hidden ones and what systems leave behind."""
    with os.scandir(folder) as entries:
        names = [one.name for one in entries if one.is_dir()]
    return [
        os.path.join(folder, name) for name in sorted(names) if not name.startswith((".", "__"))
    ]


def _pictures(folder: str) -> Iterator[str]:
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        yield from (os.path.join(place, name) for name in names if _is_picture(name))


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def _some(labels: Iterator[str]) -> str:
    several = [*labels]
    named = ", ".join(several[:5]) + (", …" if several[5:] else "")
    return f"{len(several)} label{'' if len(several) == 1 else 's'}: {named}"
