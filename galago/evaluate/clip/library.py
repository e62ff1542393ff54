"""clip_benchmark's data sets, opened from this machine alone: nothing is fetched or unpickled."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tarfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galago.errors import MissingExtraError, OptionError
from galago.evaluate.clip.sets import SHARDS, Place

__all__ = ["Opened", "drawn", "groups_of", "open_set"]

_PICKLES = ("pkl", "pickle", "pyd", "pth")  # what webdataset would unpickle
_TYPE, _NAMES, _TEMPLATES = (
    "dataset_type.txt",
    "classnames.txt",
    "zeroshot_classification_templates.txt",
)


@dataclass(frozen=True)
class Opened:
    """A set that is open: `data` gives (picture, label or captions), `count` times, by number or
    (a stream) only in order.

    classes: the names that labels number; templates: the sentences they are put into, with {c}
    where a name goes, or a list for each name.  Both are empty of captions.
    """

    data: Any
    stream: bool
    count: int
    classes: tuple[str, ...]
    templates: list[str] | dict[str, list[str]]
    captions: bool


def open_set(place: Place) -> Opened:
    """By clip_benchmark's own reader.

    MissingExtraError without it, OptionError for a set that isn't whole.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from clip_benchmark.datasets import builder
    except ImportError as error:
        raise MissingExtraError(
            f"galago evaluate clip needs clip_benchmark ({error.name} is missing)", "evaluate-clip"
        ) from error
    folder, captions = place.folder, place.of.retrieval
    if place.webdataset:
        _check_path(folder)
        captions = _kind(folder) == "retrieval"
        for name in () if captions else (_NAMES, _TEMPLATES):
            if not (folder / name).is_file():
                raise OptionError(f"{folder} isn't whole: {name} is missing; fetch it again")
    name = f"wds/{place.of.name}" if place.webdataset else place.of.folder
    try:
        with _sealed(builder), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            data = builder.build_dataset(
                name,
                root=str(folder),
                transform=None if not place.webdataset else _as_it_is,
                download=False,
                task="zeroshot_retrieval" if captions else "zeroshot_classification",
            )
    # Whatever its readers raise means the same: files are missing, or others than it expects.
    except (Exception, SystemExit) as error:
        raise OptionError(f"{folder} isn't whole as {place.of.name}: {_words(error)}") from error
    labels = getattr(data, "class_to_idx", None)
    if not captions and labels is not None and len(labels) != len(data.classes):
        # Its labels are the numbers of the folders that are there: of some, others' names.
        raise OptionError(
            f"{folder} isn't whole as {place.of.name}: {len(labels)} folders of "
            f"{len(data.classes)} classes"
        )
    count = _shards(folder, captions) if place.webdataset else len(data)
    if not count:
        raise OptionError(f"{folder} has no pictures")
    if captions:
        return Opened(data, place.webdataset, count, (), [], True)
    return Opened(data, place.webdataset, count, tuple(data.classes), data.templates, False)


def _as_it_is(picture: Any) -> Any:
    return picture


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _check_path(folder: Path) -> None:
    """webdataset reads some letters of a path as patterns, protocols or lists."""
    if odd := next((sign for sign in ("{", "}", "::", "://") if sign in str(folder)), None):
        raise OptionError(f"{folder} can't be read by webdataset: name it without {odd!r}")


def _kind(folder: Path) -> str:
    try:
        return (folder / _TYPE).read_text("utf-8").strip().lower()
    except FileNotFoundError:
        return "classification"


@contextlib.contextmanager
def _sealed(builder: Any) -> Iterator[None]:
    """No connection, no program that makes one, no unpickling.

    The library runs wget, kaggle or requests for what it doesn't find.
    """
    from webdataset import autodecode

    def refuse(*_: object, **__: object) -> Any:
        raise OptionError("a part of it is missing, and nothing is fetched here")

    connect, call = socket.socket.connect, builder.call
    for name in _PICKLES:  # for good: they are of no use here
        autodecode.decoders.pop(name, None)
    socket.socket.connect = refuse  # type: ignore[method-assign]
    builder.call = refuse
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        builder.call = call


def drawn(opened: Opened, chosen: Sequence[int] | None) -> Iterator[tuple[Any, Any]]:
    """(RGB picture uint8 (H, W, 3), label or captions) of these numbers, in order; None are all.

    OptionError for a picture that can't be read: a benchmark is whole, or its figure is no figure.
    """
    given = 0
    try:
        for picture, target in _samples(opened, chosen):
            # As the field's loaders do: no turning by EXIF, no colour profile.
            pixels = np.asarray(picture.convert("RGB"))
            given += 1
            yield pixels, target
    except Exception as error:  # the readers have errors of their own
        words = _words(error.__cause__ or error)
        raise OptionError(f"the picture behind the first {given:,}: {words}") from error


def _samples(opened: Opened, chosen: Sequence[int] | None) -> Iterator[tuple[Any, Any]]:
    if not opened.stream:
        for number in range(opened.count) if chosen is None else chosen:
            yield opened.data[number]
        return
    wanted = None if chosen is None else set(chosen)
    for number, sample in enumerate(opened.data):
        if wanted is None or number in wanted:
            yield sample


def _shards(folder: Path, captions: bool) -> int:
    """How many samples the tars of a set hold."""
    return sum(1 for _ in _members(folder, (".txt",) if captions else (".cls", ".npy"), ()))


def groups_of(folder: Path, chosen: Sequence[int] | None) -> np.ndarray[Any, Any]:
    """The first number of each sample's metadata (.npy): its region, or what it is grouped by.

    OptionError where samples have none.
    """
    found = list(_members(folder, (".npy",), (".npy",)))
    if not found:
        raise OptionError(f"{folder} isn't whole: its samples have no metadata (.npy)")
    every = np.array(
        [int(np.ravel(np.load(io.BytesIO(one), allow_pickle=False))[0]) for one in found]
    )
    return every if chosen is None else every[list(chosen)]


def _members(folder: Path, ends: tuple[str, ...], read: tuple[str, ...]) -> Iterator[bytes]:
    """One for each sample of a set, in order; what files with the ends of `read` hold."""
    try:
        tars = int((folder / SHARDS).read_text("utf-8"))
        for number in range(tars):
            with tarfile.open(folder / "test" / f"{number}.tar") as tar:
                before = ""
                for member in tar:
                    stem, end = os.path.splitext(member.name)
                    if end not in ends or stem == before:
                        continue
                    before = stem
                    file = tar.extractfile(member) if end in read else None
                    yield file.read() if file else b""
    except (OSError, ValueError, tarfile.TarError) as error:
        raise OptionError(f"{folder} isn't whole: {_words(error)}") from error
