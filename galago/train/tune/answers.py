"""Held-out questions asked through galago itself, as people will ask them, and answers counted."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import OptionError
from galago.progress import Progress, Stage, silent
from galago.rows.rows import Row, Rows
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

__all__ = ["Answers", "Figure", "Score", "ask_all", "same", "some"]

_MARGIN = 16  # more tokens than the right answer has: one that goes on is wrong already


@dataclass(frozen=True)
class Score:
    """Of `asked` answers `right` are the data's own, but for case, spaces and a final full stop.

    `examples`: question, right answer and what was said, of the first few.
    """

    right: int
    asked: int
    examples: tuple[tuple[str, str, str], ...] = ()

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else 0.0

    def sentence(self) -> str:
        return f"{self.right} of {self.asked} right ({self.share:.0%})"

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Score:
        examples = tuple((str(a), str(b), str(c)) for a, b, c in value["examples"])
        return cls(int(value["right"]), int(value["asked"]), examples)


@dataclass(frozen=True)
class Figure:
    """Of `count` things `hits` are what `what` says."""

    what: str
    hits: int
    count: int

    def sentence(self) -> str:
        return f"{self.hits:,} of {self.count:,} ({self.hits / max(1, self.count):.1%})"


@dataclass(frozen=True)
class Answers:
    """What a model answered: to held-out questions, and to what galago's own models were taught;
    None and empty where nobody asked."""

    held_out: Score | None = None
    own: tuple[Figure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Answers:
        held_out = value["held_out"] and Score.from_json(value["held_out"])
        return cls(held_out, tuple(Figure(**one) for one in value["own"]))


def same(said: str, right: str) -> bool:
    """Whether an answer is the right one, to the letter but for case, spaces and a full stop."""
    return _plain(said) == _plain(right)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).rstrip(".")


def some(rows: Rows, count: int) -> list[Row]:
    """So many of the rows, evenly spread."""
    total = len(rows)
    wanted = min(count, total)
    return [rows[at * total // wanted] for at in range(wanted)]


def ask_all(model: FastVLM, rows: Sequence[Row], words: str, progress: Progress = silent) -> Score:
    """The score of the last answer of each row, the right ones before it given."""
    right = 0
    examples: list[tuple[str, str, str]] = []
    for number, row in enumerate(rows):
        messages = list(row.talk())
        try:
            images = [model.encode(_open(photo)) for photo in row.pictures]
        except OptionError as error:
            raise OptionError(f"{row.where}: {error}") from None
        answer = row.turns[-1].answer.strip()
        most = len(model.tokenizer.encode(answer)) + _MARGIN
        chunks = model.reply(messages, images, SamplingOptions(max_tokens=most))
        said = "".join(chunk.text for chunk in chunks).strip()
        right += same(said, answer)
        if len(examples) < 5:
            examples.append((row.turns[-1].question.strip(), answer, said))
        progress(Stage(words), (number + 1) / len(rows))
    return Score(right, len(rows), tuple(examples))


def _open(photo: Any) -> Any:
    return photo.source()
