"""What is reinforced: pictures with captions, in as many tasks as there will be shards.

A folder of WebDataset tars, here or in a bucket, is a task a tar, whose shard has its name;
anything else that galago.rows reads, and a plain folder of pictures without captions, is cut into
shards of so many.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from galago.disk import read_regular
from galago.errors import GalagoError, ImageError, OptionError
from galago.media.images import PICTURE_SUFFIXES
from galago.rows.labelled import has_labels
from galago.rows.read import read_data
from galago.rows.records import ABOUT_LABELS
from galago.rows.rows import Rows
from galago.text.templates import TEMPLATES
from galago.train.clip.shelf import fetched, in_bucket, name_of, tars

__all__ = ["Given", "Task", "cut_of", "given", "tasks"]

_MOST_PICTURE = 1 << 30  # bytes
_OTHER_DATA = {".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".arrow"}


@dataclass(frozen=True)
class Task:
    """What becomes one shard: rows `start` to `stop` of a place, all of them where `stop` is None.

    plain: the place is a folder of pictures alone.  count: how many rows the whole place has, cut
    into shards of `rows`; 0 of a tar.
    """

    name: str
    place: str
    start: int = 0
    stop: int | None = None
    plain: bool = False
    count: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Given:
    """A picture to reinforce; `text` is "" where it has no caption, `fault` what is wrong with it.

    where: how messages call it.
    """

    key: str
    where: str
    data: bytes = b""
    text: str = ""
    fault: str = ""


def tasks(place: str, rows: int) -> list[Task]:
    """The shards that this place becomes, of `rows` rows where it has none itself.

    OptionError for a place that holds no pictures.
    """
    if in_bucket(place):
        return _of_tars(tars(place))
    path = Path(os.path.abspath(os.path.expanduser(place)))
    if path.is_dir():
        names = sorted(one.name for one in path.iterdir() if one.suffix.lower() == ".tar")
        if names:
            return _of_tars([str(path / name) for name in names])
        if _is_plain(path):
            count = len(_pictures(path))
            if not count:
                raise OptionError(f"{path} holds no pictures")
            return _cut(str(path), count, rows, plain=True)
    if path.suffix.lower() == ".tar":
        if not path.is_file():
            raise OptionError(f"no such file: {path}")
        return _of_tars([str(path)])
    return _cut(str(path), len(read_data(str(path)).rows), rows, plain=False)


def _of_tars(places: Sequence[str]) -> list[Task]:
    """The shard of X.TAR is X.tar, as training looks for."""
    found = [Task(f"{Path(name_of(place)).stem}.tar", place) for place in places]
    for one, after in pairwise(sorted(found, key=lambda task: task.name)):
        if one.name == after.name:
            raise OptionError(f"{one.place} and {after.place} would be one shard: rename one")
    return found


def cut_of(task: Task) -> dict[str, Any] | None:
    """How its place was cut, which another run has to do alike: rows go by their numbers.  None of
    tars."""
    if task.stop is None:
        return None
    return {"of": Path(task.place).name, "count": task.count, "rows": task.rows}


def _cut(place: str, count: int, rows: int, *, plain: bool) -> list[Task]:
    return [
        Task(f"{number:05}.tar", place, start, min(start + rows, count), plain, count, rows)
        for number, start in enumerate(range(0, count, rows))
    ]


def _is_plain(folder: Path) -> bool:
    """Whether there are no rows to read: where pictures lie beside the folders, these are no
    labels."""
    kinds = {one.suffix.lower() for one in folder.iterdir() if one.is_file()}
    if kinds & _OTHER_DATA:
        return False
    return bool(kinds & PICTURE_SUFFIXES) or not has_labels(str(folder))


def _pictures(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def given(task: Task) -> Iterator[Given]:
    """The pictures of a task, in order; one that can't be read has a `fault`.

    OptionError for a place that can't be read at all, as a tar that was cut short.  A tar of a
    bucket is fetched for as long as it is read.
    """
    if in_bucket(task.place):
        with (
            tempfile.TemporaryDirectory(prefix="galago-") as short,
            fetched(task.place, Path(short)) as copy,
        ):
            yield from given(dataclasses.replace(task, place=str(copy)))
        return
    if task.plain:
        folder = Path(task.place)
        found = _pictures(folder)
        if len(found) != task.count:
            raise OptionError(
                f"{folder} had {task.count} pictures as this began, and has {len(found)}: begin "
                "again with another OUT"
            )
        for number, path in enumerate(found[task.start : task.stop], task.start):
            yield _given(f"{number:09}", path.relative_to(folder).as_posix(), path, "")
        return
    rows = read_data(task.place).rows
    stop = len(rows) if task.stop is None else task.stop
    for number in range(task.start, stop):
        yield _of_row(rows, number, own_key=task.stop is None)


def _of_row(rows: Rows, number: int, *, own_key: bool) -> Given:
    key, where = f"{number:09}", f"row {number + 1}"
    try:
        row = rows[number]
        where = row.where
        if own_key:  # of a tar, "00000.tar:KEY"
            key = where.partition(":")[2] or key
        if len(row.pictures) != 1:
            return Given(key, where, fault=f"it has {len(row.pictures)} pictures, and not one")
        turn = row.turns[0]
        text = turn.answer.strip()
        if turn.question == ABOUT_LABELS:
            text = TEMPLATES["photo"][0].format(text)
        return _given(key, where, row.pictures[0].source(), text)
    except GalagoError as error:
        return Given(key, where, fault=str(error).removeprefix(where).lstrip(": "))


def _given(key: str, where: str, source: object, text: str) -> Given:
    try:
        if not isinstance(source, (bytes, bytearray, memoryview)):
            source = read_regular(Path(str(source)), _MOST_PICTURE)
        return Given(key, where, bytes(source), text)
    except (OSError, ImageError) as error:
        return Given(key, where, fault=" ".join(str(error).split())[:200])
