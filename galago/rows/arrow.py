"""Rows of a data set of Hugging Face's `datasets`, as its `save_to_disk` wrote it.

Only data is read: no code of a data set is run, and nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from galago.errors import ImageError, MissingExtraError, OptionError
from galago.media.images import Source
from galago.rows.records import TALKS, Columns, Data, Reading
from galago.rows.rows import Photo, PhotoFile, Row, RowError
from galago.rows.texts import short

__all__ = ["ArrowRows", "PhotoInCell", "is_arrow", "read_arrow"]

_MARKS = ("dataset_dict.json", "state.json")
_SPLIT = "train"  # taken of several


def is_arrow(folder: str) -> bool:
    """Whether a folder is one of save_to_disk."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in _MARKS)


@dataclass(frozen=True)
class PhotoInCell(Photo):
    """A picture whose bytes stand in the data set: number `number` of a cell."""

    folder: str
    split: str
    column: str
    row: int
    number: int

    def source(self) -> Source:
        return self._bytes()

    def head(self, count: int) -> tuple[bytes, int]:
        data = self._bytes()
        return data[:count], len(data)

    def _bytes(self) -> bytes:
        try:
            cells = _opened(self.folder, self.split).select_columns([self.column])[self.row]
            return bytes(_several(cells.to_pylist()[0][self.column])[self.number]["bytes"])
        except Exception as error:  # what a damaged file makes of pyarrow
            raise ImageError(f"{self.name} can't be read ({short(error)})") from None


def read_arrow(folder: str, reading: Reading) -> Data:
    """The rows of the split "train", or of the only one.

    MissingExtraError without the package datasets; OptionError for a damaged folder, and where no
    column has a usual name.
    """
    split, others = _split(folder)
    data = _opened(folder, split)
    pictures = _pictures(data.features)
    notes = [f"of the splits the one called {split} is read, without {', '.join(others)}"]
    columns = None
    if not TALKS & {*data.features}:
        try:
            columns = reading.columns(data.features)
        except OptionError as error:
            raise OptionError(f"{folder}: {error}") from None
        asked = f"asked about each: {columns.asked!r}"
        notes.append(f"answers from {columns.answer}; " + (columns.question or asked))
    rows = ArrowRows(folder, split, reading, columns, pictures)
    told = tuple(notes if others else notes[1:])
    asks = columns is not None and not columns.question
    return Data(folder, "a data set of Hugging Face", rows, told, reading.images, asks)


class ArrowRows:
    """Rows of a split, read when they are wanted."""

    def __init__(
        self,
        folder: str,
        split: str,
        reading: Reading,
        columns: Columns | None,
        pictures: str,
    ) -> None:
        self._folder, self._split, self._reading = folder, split, reading
        self._columns, self._pictures = columns, pictures
        self._count = len(_opened(folder, split))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Row:
        data = _opened(self._folder, self._split)
        where = f"{os.path.basename(self._folder)}:{index + 1}"
        try:
            record = data[index].to_pylist()[0]
        except Exception as error:
            raise RowError(where, f"can't be read ({short(error)})") from None
        for name, feature in data.features.items():
            names = getattr(feature, "names", None)  # a ClassLabel's, for which a number stands
            if names is not None and isinstance(record.get(name), int) and record[name] >= 0:
                record[name] = names[record[name]].replace("_", " ")
        photos = self._photos(record, index, where)
        if photos is not None:  # rows are held, and all their pictures would fill the memory
            record = {n: one for n, one in record.items() if not self._holds(n, data.features)}
        return self._reading.row(record, where, photos, self._columns)

    def _holds(self, name: str, features: Mapping[str, Any]) -> bool:
        """Whether a column holds pictures."""
        return name == self._pictures or _is_picture(features[name])

    def _photos(self, record: Mapping[str, Any], index: int, where: str) -> list[Photo] | None:
        """Pictures whose bytes are there; None where pictures are named by their files."""
        cells = _several(record.get(self._pictures))
        if not any(isinstance(one, dict) and one.get("bytes") for one in cells):
            return None
        photos: list[Photo] = []
        for number, one in enumerate(cells):
            if not isinstance(one, dict):
                raise RowError(where, f"its picture {number + 1} is empty")
            name = f"{where} ({one.get('path') or f'picture {number + 1}'})"
            if one.get("bytes"):
                place = self._folder, self._split, self._pictures, index, number
                photos.append(PhotoInCell(name, *place))
            else:
                path = str(one.get("path") or "")
                photos.append(PhotoFile(name, os.path.join(self._reading.images, path)))
        return photos


def _pictures(features: Mapping[str, Any]) -> str:
    """The column that holds pictures: of that type, else of that name."""
    kinds = [name for name, feature in features.items() if _is_picture(feature)]
    usual = [name for name in ("image", "images") if name in features]
    return next(iter([*(name for name in usual if name in kinds), *kinds, *usual]), "")


def _is_picture(feature: Any) -> bool:
    return "Image(" in repr(feature)  # a list of them, too


def _several(cell: object) -> list[Any]:
    return cell if isinstance(cell, list) else [] if cell is None else [cell]


def _split(folder: str) -> tuple[str, list[str]]:
    """The split that is read, "" where there are none, and the others."""
    found = _loaded(folder)
    if not hasattr(found, "keys"):
        return "", []
    names = [*found.keys()]
    if len(names) > 1 and _SPLIT not in names:
        raise OptionError(f"{folder} has the splits {_joined(names)}: give one of these folders")
    split = _SPLIT if _SPLIT in names else names[0] if names else ""
    if not split:
        raise OptionError(f"{folder} has no rows")
    return split, [name for name in names if name != split]


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)


@lru_cache(maxsize=4)
def _opened(folder: str, split: str) -> Any:
    """A split whose rows come as Arrow has them: no picture is decoded."""
    found = _loaded(folder)
    return (found[split] if split else found).with_format("arrow")


def _loaded(folder: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError(
            f"{folder} is a data set of Hugging Face, which the package datasets reads", "finetune"
        ) from None
    try:
        return datasets.load_from_disk(folder)
    except Exception as error:  # a damaged folder makes it raise anything
        raise OptionError(f"{folder} can't be read as a data set ({short(error)})") from None
