"""Data looked through before anything is learnt: each row, each picture's header, each length."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from galago.errors import ImageError, OptionError
from galago.media.about import about
from galago.progress import Progress, Stage, silent
from galago.rows.records import Data
from galago.rows.rows import Photo, Row, RowError
from galago.specs import ImageSpec
from galago.train.tune.labels import Labeller
from galago.train.tune.split import Groups

__all__ = ["SHOWN", "FaultyDataError", "Report", "check"]

SHOWN = 20  # problems that are told one by one
_STEP = 64  # rows between two words about how far it is
_REMEMBERED = 4096  # digests of different answers: beyond that they aren't all alike
_LARGE = 24_000_000  # pixels from which on the kind of a picture decides whether it is opened
_MANY = 10  # rows from which on equal answers are strange


class FaultyDataError(OptionError):
    """Rows that can't be learnt; `report` has them."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclass
class Report:
    """What a look through the data found.

    rows: how many there are; good: how many of them can be learnt, which `groups` holds.
    problems: the first SHOWN as (where, what); faulty: how many rows have one.
    notes: what is odd and stops nothing.  positions: of the shortest and the longest row.
    digest: changes with anything that is learnt.
    """

    rows: int
    good: int = 0
    text_only: int = 0
    pictures: int = 0
    faulty: int = 0
    missing: int = 0
    cut: int = 0
    learnt: int = 0
    positions: tuple[int, int] = (0, 0)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    groups: Groups = field(default_factory=Groups)
    digest: str = ""

    def lines(self) -> list[str]:
        """The problems, a line each, and how many more there are."""
        told = [f"{where}: {what}" for where, what in self.problems]
        more = self.faulty - len(self.problems)
        return [*told, f"… and {more} more"] if more > 0 else told


def check(
    data: Data,
    labeller: Labeller,
    spec: ImageSpec,
    *,
    everything: bool = False,
    progress: Progress = silent,
) -> Report:
    """Look at every row and at the header of every picture; `everything` decodes them too.

    OptionError where a whole file fails; what is wrong with rows stands in the report.
    """
    looked = _Looked(labeller, spec, everything, Report(len(data.rows)))
    stage = Stage("opening every picture" if everything else "checking the data")
    for index in range(len(data.rows)):
        if index % _STEP == 0:
            progress(stage, index / len(data.rows))
        try:
            looked.add(index, data.rows[index])
        except RowError as error:
            looked.fault(error)
    progress(stage, 1.0)
    return looked.finished()


class _Looked:
    """What was seen so far: a report, and what is needed to notice doubles."""

    def __init__(
        self, labeller: Labeller, spec: ImageSpec, everything: bool, report: Report
    ) -> None:
        self._labeller, self._spec, self._everything = labeller, spec, everything
        self._report = report
        self._photos: dict[int, bytes | str] = {}  # by hash: its digest, or what is wrong
        self._names: set[bytes] = set()
        self._rows: set[bytes] = set()
        self._answers: set[bytes] = set()
        self._again = [0, 0]  # names, and rows, that come again
        self._whole = blake2b(digest_size=16)

    def add(self, index: int, row: Row) -> None:
        """RowError for one that can't be learnt."""
        for fault in row.faults():
            raise RowError(row.where, fault)
        digests = [self._look(photo, row.where) for photo in row.pictures]
        example = self._labeller(row)
        report = self._report
        report.good += 1
        report.text_only += not digests
        report.pictures += len(digests)
        report.cut += example.cut > 0
        report.learnt += example.learnt
        length = len(example.ids)
        low, high = report.positions
        report.positions = (min(low or length, length), max(high, length))
        text = _digest(
            row.system, *(part for one in row.turns for part in (one.question, one.answer))
        )
        report.groups.add(index, digests or [text])
        self._remember(row, _digest(*digests, text))

    def fault(self, error: RowError) -> None:
        """Note what is wrong with a row."""
        self._report.faulty += 1
        if len(self._report.problems) < SHOWN:
            self._report.problems.append((error.where, error.what))

    def finished(self) -> Report:
        """The report, with what can be said at the end only."""
        report, notes = self._report, self._report.notes
        if report.good and self._again[1]:
            notes.append(f"{_rows(self._again[1])} there twice or more, word for word")
        if self._again[0]:
            notes.append(f"{_rows(self._again[0])} called by an id that another has, too")
        if report.cut:
            notes.append(f"{_rows(report.cut)} cut at {self._labeller.positions} positions")
        if report.good >= _MANY and len(self._answers) == 1:
            notes.append("all answers are equal: it would learn to say nothing else")
        report.digest = self._whole.hexdigest()
        return report

    def _look(self, photo: Photo, where: str) -> bytes:
        """A picture's digest; each is looked at once, however many rows are about it."""
        key = hash(photo)
        if key not in self._photos:
            try:
                _check_photo(photo, self._spec, self._everything)
                self._photos[key] = photo.digest()
            except ImageError as error:
                self._photos[key] = str(error)
        found = self._photos[key]
        if isinstance(found, str):
            self._report.missing += found.startswith("no such picture")
            raise RowError(where, found)
        return found

    def _remember(self, row: Row, whole: bytes) -> None:
        self._whole.update(whole)
        self._again[1] += whole in self._rows
        self._rows.add(whole)
        if row.name:
            name = _digest(row.name)
            self._again[0] += name in self._names
            self._names.add(name)
        if len(self._answers) < _REMEMBERED:
            self._answers.update(_digest(turn.answer.strip()) for turn in row.turns)


def _check_photo(photo: Photo, spec: ImageSpec, decoded: bool) -> None:
    """ImageError for what isn't a picture, or is larger than any that is opened.

    Where the header leaves a doubt, in large ones and those that it can't be read of, decoding
    decides: it is what training does.
    """
    try:
        width, height = about(photo.source(), name=photo.name).size
        decoded = decoded or width * height > _LARGE
    except ImageError:
        decoded = True
    if decoded:
        photo.square(spec)


def _digest(*parts: str | bytes) -> bytes:
    found = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "replace") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little") + data)
    return found.digest()


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
