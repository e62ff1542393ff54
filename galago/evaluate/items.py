"""What is asked and how it is judged: rows of somebody's data, checked before any is asked."""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from galago.errors import ImageError, OptionError
from galago.evaluate.metrics import METRICS, Metric, letter_of, metric_named
from galago.progress import Progress, Stage, silent
from galago.rows.labelled import FOLDERS
from galago.rows.records import LABEL, Data
from galago.rows.rows import Row, RowError, Turn

__all__ = ["Asking", "FaultyItemsError", "Item", "Items", "items_of"]

SHOWN = 20  # faults that are told one by one
_STEP = 64  # rows between two words about how far it is
_CHOOSE = "Answer with the option's letter from the given choices directly."  # LLaVA's words
_NOTHING: tuple[object, ...] = (None, "", [], ())  # where a record says nothing
_SAYS = ("metric", "choices", "options", "task", "tasks")  # what a record may say besides
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class FaultyItemsError(OptionError):
    """Rows that can't be asked or judged; `lines` tells the first of them."""

    def __init__(self, message: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.lines = tuple(lines)


@dataclass(frozen=True)
class Asking:
    """What a person says of how the data is asked.

    metric: of rows that name none; "" is choice where a row has choices, else exact.
    limit: at most so many rows, drawn with `seed`.  skip_bad: leave faulty rows out.
    """

    metric: str = ""
    limit: int | None = None
    seed: int = 0
    skip_bad: bool = False

    def __post_init__(self) -> None:
        """OptionError for values that none can be."""
        if self.metric and metric_named(self.metric) is None:
            raise OptionError(f"--metric {self.metric!r}: choose one of {', '.join(METRICS)}")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"--limit {self.limit} is not possible: use 1 or more")


@dataclass(frozen=True)
class Item:
    """A question with its answers.  `row` asks it, choices included; `tasks`: what it counts under
    ("fingers/crops" counts under "fingers", too)."""

    row: Row
    answers: tuple[str, ...]
    metric: Metric
    choices: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        return self.row.turns[-1].question

    def behind(self, words: str) -> Item:
        """The same with words on a line of their own behind the question."""
        if not words.strip():
            return self
        *before, last = self.row.turns
        asked = Turn(f"{last.question.rstrip()}\n{words.strip()}", last.answer)
        return replace(self, row=replace(self.row, turns=(*before, asked)))


@dataclass(frozen=True)
class Items:
    """All that are asked.  labels: the different answers of data that has no questions, as long as
    they come again and again; of other data there are none.  notes: lines for the person."""

    items: tuple[Item, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def items_of(data: Data, asking: Asking, progress: Progress = silent) -> Items:
    """The items of rows that were read with several answers, in the order of the file.

    FaultyItemsError for faulty rows unless they may be left out, and where none is left.
    """
    numbers, notes = _drawn(len(data.rows), asking)
    found: list[Item] = []
    faults: list[RowError] = []
    names: dict[str, None] = {}
    stage = Stage("checking the data")
    for done, number in enumerate(numbers):
        if done % _STEP == 0:
            progress(stage, done / len(numbers))
        try:
            row = data.rows[number]
            names |= dict.fromkeys(map(str, row.record))
            found.append(_item(row, asking))
        except RowError as error:
            faults.append(error)
    progress(stage, 1.0)
    if faults and (not asking.skip_bad or not found):
        raise FaultyItemsError(_refusal(data, len(numbers), faults), _lines(faults))
    if faults:
        notes.append(f"left out: {_rows(len(faults))} with faults, of {len(numbers):,}")
        notes += _lines(faults)
    return Items(tuple(found), _labels(data), (*data.notes, *_mistyped(names), *notes))


def _mistyped(names: Iterable[str]) -> Iterator[str]:
    """A line for each name that is nearly one which would have said how a row is judged."""
    known = {name.strip().lower(): name for name in names}
    for name, written in known.items():
        near = difflib.get_close_matches(name, _SAYS, 1, 0.8)
        if near and name not in _SAYS and near[0] not in known:
            yield f"{written} says nothing here: is {near[0]} meant?"


def _drawn(count: int, asking: Asking) -> tuple[Sequence[int], list[str]]:
    """The numbers of the rows that are asked, and what is to be said about them."""
    if asking.limit is None or asking.limit >= count:
        return range(count), []
    drawn = sorted(random.Random(asking.seed).sample(range(count), asking.limit))
    return drawn, [f"{asking.limit:,} of {count:,} rows, drawn with seed {asking.seed}"]


def _item(row: Row, asking: Asking) -> Item:
    """RowError for a row that can't be asked or judged."""
    for fault in row.faults():
        raise RowError(row.where, fault)
    for photo in row.pictures:
        try:
            photo.head(1)
        except ImageError as error:
            raise RowError(row.where, str(error)) from None
    choices = _texts(row, "choices", "options")
    answers = row.answers or (row.turns[-1].answer.strip(),)
    metric = _metric(row, asking, choices)
    if metric.name == "choice":
        for answer in answers:
            if letter_of(answer, choices) is None:
                of = "none of the choices" if choices else "no letter"
                raise RowError(row.where, f"the answer {answer[:40]!r} is {of}")
    tasks = _texts(row, "task", "tasks")
    return Item(_with_choices(row, choices), answers, metric, choices, _prefixes(tasks))


def _metric(row: Row, asking: Asking, choices: Sequence[str]) -> Metric:
    named = _told(row, "metric")
    if named is None:
        named = asking.metric or ("choice" if choices else "exact")
    found = metric_named(named) if isinstance(named, str) else None
    if found is None:
        raise RowError(row.where, f"no metric is called {named!r}: {', '.join(METRICS)}")
    return found


def _texts(row: Row, *names: str) -> tuple[str, ...]:
    """What a record says under the first of the names that it has: a text, or a list of them; in
    a table several stand with | between them."""
    value = _told(row, *names) or ()
    if isinstance(value, str):
        value = value.split("|")
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise RowError(row.where, f"{names[0]} must be a list of texts")
    texts = tuple(one.strip() for one in value)
    if names[0] == "choices" and (len(texts) > len(_LETTERS) or not all(texts)):
        raise RowError(row.where, f"there may be 1 to {len(_LETTERS)} choices, none of them empty")
    return texts


def _told(row: Row, *names: str) -> Any:
    """What a record says under the first of the names that has something, found as the columns of
    questions and answers are: in any case."""
    known = {name.strip().lower(): value for name, value in row.record.items()}
    return next((known[name] for name in names if known.get(name) not in _NOTHING), None)


def _with_choices(row: Row, choices: Sequence[str]) -> Row:
    """The row whose last question tells the choices by their letters, as the papers' tasks do."""
    if not choices:
        return row
    *before, last = row.turns
    lines = [f"{letter}. {one}" for letter, one in zip(_LETTERS, choices, strict=False)]
    question = "\n".join([last.question.rstrip(), *lines, _CHOOSE])
    return replace(row, turns=(*before, Turn(question, last.answer)))


def _prefixes(tasks: Iterable[str]) -> tuple[str, ...]:
    """ "a/b" as "a" and "a/b", each once."""
    found: dict[str, None] = {}
    for task in tasks:
        parts = [part.strip() for part in task.split("/") if part.strip()]
        found |= dict.fromkeys("/".join(parts[: end + 1]) for end in range(len(parts)))
    return tuple(found)


def _labels(data: Data) -> tuple[str, ...]:
    """Answers that are labels: folders, those of a column of that name, or what is answered to one
    question and comes twice or more on average."""
    if not data.asks:
        return ()
    found: dict[str, None] = {}
    told = True
    for number in range(len(data.rows)):
        try:
            row = data.rows[number]
        except RowError:
            continue
        if len(row.turns) != 1 or len(row.pictures) != 1 or row.answers:
            return ()
        answer = row.turns[0].answer.strip()
        found[answer] = None
        told = told and (data.kind == FOLDERS or _is_label(answer, row))
    found.pop("", None)
    return tuple(found) if told or 2 * len(found) <= len(data.rows) else ()


def _is_label(answer: str, row: Row) -> bool:
    """Whether it stands in a column of labels, and not beside one."""
    known = {name.strip().lower(): value for name, value in row.record.items()}
    values = (known[name] for name in LABEL if known.get(name) is not None)
    return not answer or any(str(value).strip() == answer for value in values)


def _lines(faults: Sequence[RowError]) -> list[str]:
    told = [f"{error.where}: {error.what}" for error in faults[:SHOWN]]
    more = len(faults) - SHOWN
    return [*told, f"… and {more:,} more"] if more > 0 else told


def _refusal(data: Data, asked: int, faults: Sequence[RowError]) -> str:
    what = "is" if len(faults) == 1 else "are"
    line = f"{len(faults):,} of {_rows(asked)} of {data.path} {what} faulty: "
    line += (
        "mend them, or leave them out with --skip-bad"
        if len(faults) < asked
        else "none is left to ask"
    )
    if data.images and any(error.what.startswith("no such picture") for error in faults):
        line += f" (pictures are looked for in {data.images}: --images says where else)"
    return line


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
