"""Rows of a table: CSV or TSV, a picture, a question and an answer a line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from galago.errors import OptionError
from galago.rows.records import Columns, Data, Reading
from galago.rows.rows import Row, RowError
from galago.rows.texts import check_text_file, short

__all__ = ["TableRows", "read_table"]

_DELIMITERS = (",", ";", "\t")  # of spreadsheets: English ones, others, and "Unicode text"


def read_table(path: str, reading: Reading) -> Data:
    """The rows of a table whose first line names its columns.

    OptionError where that line has no usual names, and for quotes that are never closed.
    """
    encoding = check_text_file(path, utf16=True)
    delimiter, columns = _header(path, encoding, reading)
    names: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    for line, cells in _lines(path, encoding, delimiter):
        if not names:
            names = cells
        elif any(cells):
            rows.append((line, cells))
    notes = [_told(columns)] if columns.image else []
    if not columns.image:
        raise OptionError(
            f"{path}:1: no column names the pictures: call it image (it has {', '.join(names)})"
        )
    if encoding != "utf-8-sig":
        notes.append("the table is in UTF-16")
    kind = "a table of pictures and answers" if columns.asked else "a table of questions"
    table = TableRows(os.path.basename(path), reading, columns, names, rows)
    return Data(path, kind, table, tuple(notes), reading.images, not columns.question)


class TableRows:
    """The lines of a table, held as text."""

    def __init__(
        self,
        name: str,
        reading: Reading,
        columns: Columns,
        names: list[str],
        rows: list[tuple[int, list[str]]],
    ) -> None:
        self._name, self._reading, self._columns = name, reading, columns
        self._names, self._rows = names, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        line, cells = self._rows[index]
        where = f"{self._name}:{line}"
        if len(cells) != len(self._names):
            raise RowError(
                where,
                f"{len(cells)} cells where the first line has {len(self._names)}; a text with "
                "commas in it stands in double quotes",
            )
        record = dict(zip(self._names, (cell.strip() for cell in cells), strict=True))
        return self._reading.row(record, where, columns=self._columns)


def _header(path: str, encoding: str, reading: Reading) -> tuple[str, Columns]:
    """What separates the cells, and which columns are which."""
    faults = []
    ways = ("\t",) if path.lower().endswith(".tsv") else _DELIMITERS
    for delimiter in ways:
        _, names = next(_lines(path, encoding, delimiter))
        try:
            return delimiter, reading.columns(names)
        except OptionError as error:
            faults.append((len(names), str(error)))
    most = max(faults, key=lambda fault: fault[0])  # what separates them cuts the line up
    raise OptionError(f"{path}:1: its first line must name the columns, and {most[1]}")


def _lines(path: str, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line that each row begins at, and its cells."""
    begun = 1
    try:
        with open(path, encoding=encoding, newline="") as file:
            # Strict: else a quote that is never closed would swallow the rest of the rows.
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                yield begun, cells
                begun = reader.line_num + 1
    except UnicodeDecodeError:
        raise OptionError(f"{path} is not UTF-8; save it as CSV in UTF-8") from None
    except (csv.Error, UnicodeError) as error:
        raise OptionError(
            f"{path}:{begun}: the row that begins here is no CSV ({short(error)})"
        ) from None


def _told(columns: Columns) -> str:
    asked = f"asked about each: {columns.asked!r}"
    if columns.question:
        asked = f"questions from {columns.question}"
    return f"pictures from the column {columns.image}, answers from {columns.answer}; {asked}"
