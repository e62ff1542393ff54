"""Data ready to be learnt: read, checked, and split into what is learnt and what is held out."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from galago.progress import Progress, Stage, silent
from galago.rows.read import read_data
from galago.rows.records import Data
from galago.rows.rows import Row, Rows
from galago.specs import ImageSpec
from galago.train.tune.check import FaultyDataError, Report, check
from galago.train.tune.labels import Labeller
from galago.train.tune.split import check_share

__all__ = ["DataOptions", "Part", "TuneData", "load_data"]


@dataclass(frozen=True)
class DataOptions:
    """What a person says about the data.

    images: the folder of its pictures.  question: what is asked where it has answers alone.
    held_out: the share that isn't learnt.  skip_bad: leave faulty rows out instead of refusing.
    check_all: decode every picture beforehand.
    """

    images: str | None = None
    question: str | None = None
    held_out: float = 0.05
    skip_bad: bool = False
    check_all: bool = False


@dataclass(frozen=True)
class Part:
    """Some of the rows, in the order of the file."""

    rows: Rows
    numbers: array[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Row:
        return self.rows[self.numbers[index]]

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class TuneData:
    """Rows to learn and rows held out; `notes` are lines for the person, `digest` tells whether
    the data of another run was the same, split the same way."""

    data: Data
    report: Report
    train: Part
    held_out: Part
    notes: tuple[str, ...]
    digest: str


def load_data(
    path: str,
    labeller: Labeller,
    spec: ImageSpec,
    options: DataOptions = DataOptions(),
    progress: Progress = silent,
) -> TuneData:
    """Read, check and split a file or a folder.

    Raises OptionError for what can't be read, FaultyDataError for faulty rows unless they may be
    skipped, and where none is left.
    """
    check_share(options.held_out)
    progress(Stage("reading the data"), 0.0)
    data = read_data(path, images=options.images, question=options.question)
    report = check(data, labeller, spec, everything=options.check_all, progress=progress)
    if report.faulty and (not options.skip_bad or not report.good):
        raise FaultyDataError(_refusal(data, report), report)
    split = report.groups.split(options.held_out)
    parts = Part(data.rows, split.train), Part(data.rows, split.held_out)
    notes = [_summary(data, report), *data.notes, *report.notes]
    if report.faulty:
        notes.append(f"left out: {_count(report.faulty, 'faulty row')} of {report.rows:,}")
    held = f"{_count(len(split.held_out), 'row')} held out, {len(split.train):,} to learn"
    notes.append(f"{held}; {split.note}" if split.note else held)
    digest = f"{report.digest}-{len(split.train)}-{len(split.held_out)}"
    return TuneData(data, report, *parts, tuple(notes), digest)


def _summary(data: Data, report: Report) -> str:
    kinds = f", {report.text_only:,} of text alone" if report.text_only else ""
    low, high = report.positions
    return (
        f"{data.kind}: {_count(report.good, 'row')} with {_count(report.pictures, 'picture')}"
        f"{kinds}; {low} to {high} positions a row"
    )


def _refusal(data: Data, report: Report) -> str:
    what = "is" if report.faulty == 1 else "are"
    line = f"{report.faulty:,} of {_count(report.rows, 'row')} of {data.path} {what} faulty: "
    if not report.good:
        line += "none is left to learn"
    else:
        line += "mend them, or leave them out with --skip-bad"
    if report.missing and data.images:
        line += f" (pictures are looked for in {data.images}: --images says where else)"
    return line


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
