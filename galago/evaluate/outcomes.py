"""Items asked one after the other, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import ImageError, OptionError
from galago.evaluate.asking import Answer, Asker, key_of
from galago.evaluate.items import Item
from galago.evaluate.kept import KeptAnswers

__all__ = ["Failure", "Outcome", "Run", "judged", "run"]


@dataclass(frozen=True)
class Outcome:
    """An answer, judged."""

    item: Item
    answer: Answer
    score: float

    @property
    def right(self) -> bool:
        return self.score >= self.item.metric.right_from

    @property
    def weight(self) -> float:
        return self.item.metric.weight(self.item.answers)

    @property
    def picture(self) -> str:
        """Answers about one picture go wrong together; those about none stand alone."""
        return " ".join(photo.name for photo in self.item.row.pictures) or self.item.row.where

    def to_json(self) -> dict[str, Any]:
        """A row of answers.jsonl."""
        row, metric = self.item.row, self.item.metric
        return {
            "where": row.where,
            "picture": self.picture,
            "question": self.item.question,
            "answers": list(self.item.answers),
            "metric": metric.name,
            "tasks": list(self.item.tasks),
            "score": round(self.score, 6),
            "right": self.right,
            "weight": self.weight,
            **self.answer.to_json(),
        }


@dataclass(frozen=True)
class Failure:
    """An item that could not be asked, and why."""

    item: Item
    why: str


@dataclass(frozen=True)
class Run:
    """What one model made of the items; `asked` anew, the other answers were kept from before.

    memory: the most bytes that a process with this model alone has held, None where none was.
    """

    model: str
    settings: Mapping[str, object]
    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]
    asked: int
    memory: int | None = None


def run(
    items: Sequence[Item],
    asker: Asker,
    kept: KeptAnswers | None = None,
    *,
    again: bool = False,
    heard: Callable[[Outcome | Failure], None] = lambda one: None,
) -> Run:
    """Ask all items, but those whose answers are kept; `again` asks these, too.

    `heard` gets each as it comes.  A picture that can't be opened, or a question that is too long,
    is a failure and doesn't end the run.
    """
    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    asked = 0
    for item in items:
        try:
            answer, anew = _answer(item, asker, kept, again)
        except (ImageError, OptionError) as error:
            failures.append(Failure(item, str(error)))
            heard(failures[-1])
            continue
        asked += anew
        outcomes.append(judged(item, answer))
        heard(outcomes[-1])
    return Run(asker.name, asker.identity, tuple(outcomes), tuple(failures), asked)


def _answer(item: Item, asker: Asker, kept: KeptAnswers | None, again: bool) -> tuple[Answer, bool]:
    """The answer, and whether it was asked now."""
    if kept is None:
        return asker.ask(item), True
    key = key_of(item)
    known = None if again else kept.get(key)
    if known is not None:
        return known, False
    answer = asker.ask(item)
    kept.put(key, answer)
    return answer, True


def judged(item: Item, answer: Answer) -> Outcome:
    """By the item's own metric."""
    return Outcome(item, answer, item.metric.score(answer.said, item.answers, item.choices))
