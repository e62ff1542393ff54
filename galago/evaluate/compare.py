"""Two runs over the same questions: how far apart they are, and which answers changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galago.disk import read_regular
from galago.errors import OptionError
from galago.evaluate.items import Item
from galago.evaluate.outcomes import Outcome
from galago.evaluate.paired import Difference, difference
from galago.evaluate.report import rounded

__all__ = [
    "Changed",
    "Comparison",
    "Judged",
    "check_shared",
    "compared",
    "earlier",
    "judged_of",
]


_MOST = 1 << 30  # bytes of a file of answers: millions of them


@dataclass(frozen=True)
class Judged:
    """What a comparison needs of an answer; `metric` and `where` say which one it is."""

    where: str
    metric: str
    picture: str
    question: str
    answers: tuple[str, ...]
    said: str
    score: float
    right: bool
    weight: float


@dataclass(frozen=True)
class Changed:
    """An answer that one of the runs has right and the other wrong."""

    where: str
    question: str
    answers: tuple[str, ...]
    before: str
    after: str
    better: bool


@dataclass(frozen=True)
class Comparison:
    """From one run to another.  right: of the share that is right; scores: of the mean score, by
    graded metric.  without: answers that only one of them has."""

    before: str
    after: str
    right: Difference
    scores: Mapping[str, Difference]
    changed: tuple[Changed, ...]
    without: int

    @property
    def better(self) -> int:
        return sum(one.better for one in self.changed)

    def to_json(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "after": self.after,
            "right": rounded(asdict(self.right)),
            "scores": {name: rounded(asdict(one)) for name, one in self.scores.items()},
            "better": self.better,
            "worse": len(self.changed) - self.better,
            "changed": [asdict(one) for one in self.changed],
            "without": self.without,
        }


def judged_of(outcomes: Sequence[Outcome]) -> list[Judged]:
    return [
        Judged(
            one.item.row.where,
            one.item.metric.name,
            one.picture,
            one.item.row.turns[-1].question,
            one.item.answers,
            one.answer.said,
            one.score,
            one.right,
            one.weight,
        )
        for one in outcomes
    ]


def compared(
    before: tuple[str, Sequence[Judged]], after: tuple[str, Sequence[Judged]]
) -> Comparison:
    """Two runs by their names, with their answers; OptionError where they share no question.

    Answers are of one question if they stand at the same place of the data, with the same answers
    and the same metric: how it was asked may be what is compared.
    """
    first = {_same(one): one for one in before[1]}
    pairs = [(first[_same(one)], one) for one in after[1] if _same(one) in first]
    if not pairs:
        raise OptionError(f"{before[0]} and {after[0]} were not asked about the same rows")
    pictures = [new.picture for _, new in pairs]
    right = difference(
        [float(old.right) for old, _ in pairs], [float(new.right) for _, new in pairs], pictures
    )
    changed = (
        Changed(new.where, new.question, new.answers, old.said, new.said, new.right)
        for old, new in pairs
        if old.right != new.right
    )
    without = len(before[1]) + len(after[1]) - 2 * len(pairs)
    return Comparison(before[0], after[0], right, _scores(pairs), tuple(changed), without)


def check_shared(before: tuple[str, Sequence[Judged]], items: Sequence[Item]) -> None:
    """OptionError unless a run was asked one of these items, told before they are asked anew."""
    known = {_same(one) for one in before[1]}
    if not any((one.row.where, one.metric.name, one.answers) in known for one in items):
        raise OptionError(
            f"{before[0]} was asked none of these rows: give the data, the --metric and the rows "
            "that it was asked"
        )


def _same(one: Judged) -> tuple[object, ...]:
    return one.where, one.metric, one.answers


def _scores(pairs: Sequence[tuple[Judged, Judged]]) -> dict[str, Difference]:
    """By metric, where scores lie between right and wrong."""
    found = {}
    for metric in sorted({new.metric for _, new in pairs}):
        some = [(old, new) for old, new in pairs if new.metric == metric]
        if all(score in (0.0, 1.0) for pair in some for score in (pair[0].score, pair[1].score)):
            continue
        found[metric] = difference(
            [old.score for old, _ in some],
            [new.score for _, new in some],
            [new.picture for _, new in some],
            [new.weight for _, new in some],
        )
    return found


def earlier(folder: Path) -> tuple[str, list[Judged]]:
    """The name and the answers of a run that --out has written; OptionError for what is none."""
    try:
        name = str(json.loads(read_regular(folder / "results.json", _MOST))["name"])
        # Answers may have other ends of lines in them that Unicode knows.
        lines = read_regular(folder / "answers.jsonl", _MOST).split(b"\n")
        return name, [_read(json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        if (folder / "1" / "results.json").is_file():
            raise OptionError(f"{folder} holds several runs: name one, {folder / '1'}") from None
        what = getattr(error, "strerror", None) or type(error).__name__
        raise OptionError(
            f"{folder} is no folder that `galago evaluate own --out` wrote ({what})"
        ) from None


def _read(value: Mapping[str, Any]) -> Judged:
    score, right, weight = float(value["score"]), value["right"], float(value["weight"])
    if not (math.isfinite(score) and isinstance(right, bool) and 0 < weight < math.inf):
        raise ValueError("not how an answer is judged")
    return Judged(
        str(value["where"]),
        str(value["metric"]),
        str(value["picture"]),
        str(value["question"]),
        tuple(map(str, value["answers"])),
        str(value["said"]),
        score,
        right,
        weight,
    )
