"""A file or a folder of somebody's data -> its rows, whatever the format."""

from __future__ import annotations

import os
from pathlib import Path

from galago.disk import is_regular
from galago.errors import OptionError
from galago.rows.arrow import is_arrow, read_arrow
from galago.rows.json_rows import read_json_rows
from galago.rows.labelled import has_labels, read_labelled
from galago.rows.records import Data, Reading
from galago.rows.tables import read_table
from galago.rows.tars import read_tars

__all__ = ["FORMATS", "read_data"]

FORMATS = (
    "LLaVA's JSON or JSON lines, a CSV or TSV with pictures, questions and answers, a folder of "
    "folders that are called what their pictures show, a data set of save_to_disk, WebDataset tars"
)
_JSON, _TABLES, _TARS = (".json", ".jsonl", ".ndjson"), (".csv", ".tsv"), (".tar",)


def read_data(
    path: str, *, images: str | None = None, question: str | None = None, several: bool = False
) -> Data:
    """The rows of a file or a folder.

    images: the folder that pictures are named in, the file's own unless told.  question: what is
    asked where data has answers alone; OptionError where it has questions of its own.  several: a
    row may have several answers that are right.

    Raises OptionError for what isn't there, isn't data, or is damaged as a whole; rows are looked
    at when they are taken.
    """
    if not path.strip():
        raise OptionError("the name of the data is empty: give a file or a folder")
    if question is not None and not question.strip():
        raise OptionError("--question is empty: leave it out, or ask something")
    path = os.path.abspath(os.path.expanduser(path))
    if not os.path.lexists(path):
        raise OptionError(f"no such file or folder: {path}")
    if not os.path.isdir(path) and not is_regular(Path(path)):
        raise OptionError(f"{path} is neither a file nor a folder")
    try:
        folder = path if os.path.isdir(path) else os.path.dirname(path)
        reading = Reading(_images(images, folder), question, several)
        data = _of_folder(path, reading) if os.path.isdir(path) else _of_file(path, reading)
    except OSError as error:
        raise OptionError(f"{error.filename or path} can't be read: {error.strerror}") from None
    if len(data.rows) == 0:
        raise OptionError(f"{path} has no rows")
    if images is not None and not data.images:
        raise OptionError(f"--images is for data that names its pictures, and {path} holds them")
    if question is not None and not data.asks:
        raise OptionError(f"--question is for data without questions, and {path} has its own")
    return data


def _of_file(path: str, reading: Reading) -> Data:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _JSON:
        return read_json_rows(path, reading)
    if suffix in _TABLES:
        return read_table(path, reading)
    if suffix in _TARS:
        return read_tars([path], path, reading)
    if path.lower().endswith((".tar.gz", ".tgz", ".zip", ".gz")):
        raise OptionError(f"{path} is compressed: unpack it first")
    raise OptionError(f"{path} is none of the formats that are read: {FORMATS}")


def _of_folder(folder: str, reading: Reading) -> Data:
    if is_arrow(folder):
        return read_arrow(folder, reading)
    files = sorted(one.name for one in os.scandir(folder) if not one.name.startswith("."))
    tars = [os.path.join(folder, name) for name in files if name.lower().endswith(_TARS)]
    tables = [name for name in files if name.lower().endswith((*_JSON, *_TABLES))]
    if tars:
        return read_tars(tars, folder, reading)
    if len(tables) > 1:
        raise OptionError(f"{folder} has several files of rows: give one of {', '.join(tables)}")
    if tables:
        return _of_file(os.path.join(folder, tables[0]), reading)
    if has_labels(folder):
        return read_labelled(folder, reading.question)
    raise OptionError(
        f"{folder} holds no file of rows, no tars, and no folders with pictures in them; what is "
        f"read: {FORMATS}"
    )


def _images(images: str | None, otherwise: str) -> str:
    if images is None:
        return otherwise
    folder = os.path.abspath(os.path.expanduser(images))
    if not os.path.isdir(folder):
        raise OptionError(f"--images {images} is no folder")
    return folder
