"""Rows of WebDataset tars: what has one key, picture and text, is a row.

Of a tar only the places of its members are held; nothing is unpacked, and names are keys, never
paths.  https://github.com/webdataset/webdataset tells the layout.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from galago.errors import ImageError, OptionError
from galago.media.images import PICTURE_SUFFIXES, Source
from galago.rows.records import TALKS, Data, Reading
from galago.rows.rows import Photo, Row, RowError, Turn
from galago.rows.texts import short
from galago.text.presets import PRESETS

__all__ = ["PhotoInTar", "TarRows", "members", "read_tars"]

_MOST_TEXT, _MOST_PICTURE = 16 << 20, 1 << 30  # bytes of a member


@dataclass(frozen=True)
class PhotoInTar(Photo):
    """A picture at a stretch of bytes of a tar."""

    path: str
    start: int
    size: int

    def source(self) -> Source:
        if self.size > _MOST_PICTURE:
            raise ImageError(f"{self.name} has {self.size} bytes, which no picture has")
        return self.head(self.size)[0]

    def head(self, count: int) -> tuple[bytes, int]:
        try:
            return _bytes(self.path, self.start, min(count, self.size)), self.size
        except OSError as error:
            raise ImageError(f"{self.name} can't be read: {error.strerror}") from None


@dataclass
class _Sample:
    """The members of one key: (extension, start, size) of pictures, and of texts."""

    tar: int
    key: str
    pictures: list[tuple[str, int, int]] = field(default_factory=list)
    texts: dict[str, tuple[int, int]] = field(default_factory=dict)


def read_tars(paths: Sequence[str], place: str, reading: Reading) -> Data:
    """The rows of tars, in the order of their names.

    OptionError for a file that is no tar, a compressed one, and one that is damaged.
    """
    left: Counter[str] = Counter()
    samples: list[_Sample] = []
    notes = []
    for number, path in enumerate(paths):
        before = len(samples)
        samples += _samples(path, number, left)
        if len(samples) == before:
            notes.append(f"{os.path.basename(path)} has no pictures with .json or .txt")
    if left:
        kinds = ", ".join(f"{count} {kind}" for kind, count in left.most_common(5))
        notes.append(f"left out of the tars: {kinds}")
    rows = TarRows(paths, samples, reading)
    asks = rows.asks()
    if asks:
        notes.append(f"asked about each without a question: {reading.question or asks!r}")
    return Data(place, "WebDataset tars", rows, tuple(notes), "", bool(asks))


class TarRows:
    """Samples of tars, whose texts are read when they are wanted."""

    def __init__(self, paths: Sequence[str], samples: Sequence[_Sample], reading: Reading) -> None:
        self._paths, self._samples, self._reading = paths, samples, reading

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Row:
        sample = self._samples[index]
        path = self._paths[sample.tar]
        where = f"{os.path.basename(path)}:{sample.key}"
        photos = [
            PhotoInTar(f"{where}.{kind}", path, start, size)
            for kind, start, size in sample.pictures
        ]
        record = self._record(sample, path, where)
        if "txt" in sample.texts and not self._says(record):
            if not photos:
                raise RowError(where, "no picture stands beside its .txt")
            text = self._text(sample, "txt", path, where)
            asked = self._reading.question or PRESETS["describe"]
            return Row(tuple(photos), (Turn(asked, text),), where)
        if record is None:
            raise RowError(where, "neither .json nor .txt stands beside its picture")
        return self._reading.row(record, where, photos)

    def asks(self) -> str:
        """What is asked about the first row, if it has no question of its own."""
        if not self._samples:
            return ""
        sample = self._samples[0]
        try:
            record = self._record(sample, self._paths[sample.tar], "")
            if self._says(record) and isinstance(record, dict):
                return "" if TALKS & {*record} else self._reading.columns(record).asked
        except (OptionError, OSError):
            return ""
        return self._reading.question or PRESETS["describe"] if "txt" in sample.texts else ""

    def _says(self, record: object) -> bool:
        """Whether a .json has an answer, and not just figures beside a .txt."""
        if not isinstance(record, dict):
            return False
        try:
            return bool(TALKS & {*record}) or bool(self._reading.columns(record))
        except OptionError:
            return False

    def _record(self, sample: _Sample, path: str, where: str) -> object:
        if "json" not in sample.texts:
            return None
        try:
            return json.loads(self._text(sample, "json", path, where))
        except RecursionError:
            raise RowError(where, "its .json is nested too deeply") from None
        except ValueError as error:
            raise RowError(where, f"its .json is no JSON ({short(error)})") from None

    def _text(self, sample: _Sample, kind: str, path: str, where: str) -> str:
        start, size = sample.texts[kind]
        if size > _MOST_TEXT:
            raise RowError(where, f"its .{kind} is longer than {_MOST_TEXT >> 20} MB")
        try:
            return _bytes(path, start, size).decode("utf-8-sig")
        except OSError as error:
            raise RowError(where, f"can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise RowError(where, f"its .{kind} is not UTF-8") from None


def _samples(path: str, number: int, left: Counter[str]) -> Iterator[_Sample]:
    """What has one key and stands together; `left` counts what is passed over."""
    sample = _Sample(number, "")
    for member in _members(path):
        if not member.isreg() or member.sparse is not None:
            if not member.isdir():
                left["links and devices"] += 1
            continue
        folder, name = os.path.split(member.name)
        stem, _, kind = name.partition(".")
        kind = kind.lower()
        key = f"{folder}/{stem}" if folder else stem
        if key != sample.key:
            if sample.pictures or sample.texts:
                yield sample
            sample = _Sample(number, key)
        place = member.offset_data, member.size
        last = kind.rpartition(".")[2]
        if stem and f".{last}" in PICTURE_SUFFIXES:
            sample.pictures.append((kind, *place))
        elif stem and kind in ("json", "txt"):
            sample.texts[kind] = place
        else:
            left[f".{kind[:20]}" if kind else "without an extension"] += 1
    if sample.pictures or sample.texts:
        yield sample


def _members(path: str) -> Iterator[tarfile.TarInfo]:
    """The members of a tar here; OptionError as `members` raises it, and for what is no file."""
    if not os.path.isfile(path):
        raise OptionError(f"{path} is not a file")
    try:
        with open(path, "rb") as file:
            yield from members(file, path)
    except OSError as error:
        raise OptionError(f"{path} can't be read: {error.strerror}") from None


def members(file: IO[bytes], path: str) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, of which headers alone are read; `path` is what messages call it.

    OptionError for one that ends in the middle or is damaged there.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
            while (member := tar.next()) is not None:
                if member.offset_data + (member.size if member.isreg() else 0) > size:
                    raise OptionError(f"{path} ends in the middle of {member.name}: fetch it again")
                yield member
                tar.members.clear()  # type: ignore[attr-defined]  # else it holds all of them
            end = tar.offset
        file.seek(end)
        if file.read(512) != bytes(512):  # the block that ends a tar
            raise OptionError(f"{path} is damaged or cut at byte {end}: fetch it again")
    except (tarfile.TarError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or short(error)
        raise OptionError(f"{path} is no tar, a compressed or a damaged one ({reason})") from None


def _bytes(path: str, start: int, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(size)
