"""Rows of a JSON list or of JSON lines: only where each begins is held, not what it says."""

from __future__ import annotations

import codecs
import json
import os
import re
from array import array
from collections.abc import Iterator
from typing import IO

from galago.errors import OptionError
from galago.rows.records import TALKS, Data, Reading
from galago.rows.rows import Row, RowError
from galago.rows.texts import check_text_file, short

__all__ = ["JsonRows", "read_json_rows"]

_MOST = 16 << 20  # bytes of a record
_CHUNK = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")


def read_json_rows(path: str, reading: Reading) -> Data:
    """The rows of a list of records, or of a record a line: what the file begins with decides.

    OptionError for a file that is neither, and for a list that isn't JSON, with the line.
    """
    check_text_file(path)
    with open(path, "rb") as file:
        first = file.read(_CHUNK).removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        file.seek(0)
        if first not in (b"[", b"{"):
            raise OptionError(f"{path} holds neither a list of JSON nor a JSON object a line")
        listed = first == b"["
        rows = JsonRows(path, reading, _elements(file, path) if listed else _lines(file))
    kind = rows.kind() + (" in a JSON list" if listed else " in JSON lines")
    return Data(path, kind, rows, (), reading.images, rows.asks())


class JsonRows:
    """Records at (offset, length, line) of a file, read again when they are wanted."""

    def __init__(self, path: str, reading: Reading, places: Iterator[tuple[int, int, int]]) -> None:
        self._path, self._reading = path, reading
        self._name = os.path.basename(path)
        self._starts, self._lengths, self._lines = array("Q"), array("Q"), array("Q")
        for start, length, line in places:
            self._starts.append(start)
            self._lengths.append(length)
            self._lines.append(line)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Row:
        record, where = self._record(index)
        return self._reading.row(record, where)

    def kind(self) -> str:
        """What the first record is, in words."""
        names = self._names()
        if "conversations" in names:
            return "LLaVA's conversations"
        return "messages" if "messages" in names else "questions and answers"

    def asks(self) -> bool:
        """Whether the first record has no question of its own."""
        try:
            return (
                not TALKS & {*self._names()} and not self._reading.columns(self._names()).question
            )
        except OptionError:
            return False

    def _names(self) -> list[str]:
        """Of the first record; none where there is no such thing."""
        try:
            record, _ = self._record(0)
        except (IndexError, RowError):
            return []
        return [*record] if isinstance(record, dict) else []

    def _record(self, index: int) -> tuple[object, str]:
        start, length = self._starts[index], self._lengths[index]
        where = f"{self._name}:{self._lines[index]}"
        if length > _MOST:
            raise RowError(where, f"longer than {_MOST >> 20} MB, which no row is")
        with open(self._path, "rb") as file:
            file.seek(start)
            data = file.read(length)
        try:
            return json.loads(data.decode("utf-8-sig")), where
        except RecursionError:
            raise RowError(where, "nested too deeply") from None
        except json.JSONDecodeError as error:
            raise RowError(where, f"no JSON ({error.msg}, character {error.pos + 1})") from None
        except ValueError as error:
            raise RowError(where, f"no JSON in UTF-8 ({short(error)})") from None


def _lines(file: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """Lines that aren't blank; of one that is too long no more is held than of others."""
    start, number, length, blank = 0, 1, 0, True
    while piece := file.readline(_CHUNK):
        length += len(piece)
        blank = blank and not piece.removeprefix(codecs.BOM_UTF8).strip()
        if piece.endswith(b"\n") or len(piece) < _CHUNK:
            if not blank:
                yield start, length, number
            start, number, length, blank = start + length, number + 1, 0, True
    if not blank:
        yield start, length, number


def _elements(file: IO[bytes], path: str) -> Iterator[tuple[int, int, int]]:
    """The elements of a JSON list."""
    text = _Window(file, path)
    text.skip()
    text.take("[")
    text.skip()
    while not text.take("]"):
        place = text.offset, text.line
        length = text.element()
        yield place[0], length, place[1]
        text.skip()
        if not text.take(","):
            text.expect("]")
        text.skip()
    text.skip()
    text.expect_end()


class _Window:
    """A stretch of a file's text, refilled as it is gone through; never more than a record."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file, self._path = file, path
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False
        self.offset, self.line = 0, 1  # of the next character
        if file.read(3) == codecs.BOM_UTF8:
            self.offset = 3
        file.seek(self.offset)

    def skip(self) -> None:
        """Pass over blanks."""
        while True:
            found = _BLANK.match(self._text, self._at)
            self._pass(found.end() if found else self._at)
            if self._at < len(self._text) or self._ended:
                return
            self._fill()

    def take(self, letter: str) -> bool:
        """Pass over a letter if it comes next."""
        if self._at == len(self._text):
            self._fill()
        if not self._text.startswith(letter, self._at):
            return False
        self._pass(self._at + len(letter))
        return True

    def expect(self, letter: str) -> None:
        """OptionError unless the letter comes next."""
        if not self._text.startswith(letter, self._at):
            ended = self._at == len(self._text)
            raise self._wrong("the list has no end" if ended else "a comma is missing")

    def expect_end(self) -> None:
        """OptionError unless nothing comes."""
        if self._at < len(self._text):
            raise self._wrong("something stands behind the end of the list")

    def element(self) -> int:
        """Pass over a value; how many bytes it has."""
        while True:
            whole = self._ended or len(self._text) - self._at > _MOST
            try:
                _, end = self._json.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:
                    before = self.offset
                    self._pass(end)
                    return self.offset - before
            except RecursionError:
                raise self._wrong("nested too deeply") from None
            except json.JSONDecodeError as error:
                if whole:
                    self.line += self._text.count("\n", self._at, error.pos)
                    raise self._wrong(error.msg) from None
            except ValueError as error:  # a number of thousands of digits
                raise self._wrong(short(error)) from None
            if whole:
                raise self._wrong(f"a record is longer than {_MOST >> 20} MB")
            self._fill()

    def _pass(self, end: int) -> None:
        passed = self._text[self._at : end]
        self.offset += len(passed.encode())
        self.line += passed.count("\n")
        self._at = end

    def _fill(self) -> None:
        """As much again as there is, so that a long record is tried a few times only."""
        rest = self._text[self._at :]
        data = self._file.read(max(_CHUNK, len(rest)))
        self._ended = not data
        try:
            self._text, self._at = rest + self._decoder.decode(data, self._ended), 0
        except UnicodeDecodeError as error:
            self.line += data.count(b"\n", 0, error.start) + rest.count("\n")
            raise self._wrong("not UTF-8; save it in that encoding") from None

    def _wrong(self, what: str) -> OptionError:
        return OptionError(f"{self._path}:{self.line}: no JSON ({what})")
