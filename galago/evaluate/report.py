"""All figures of a run: how often it is right, by metric and task, what it confuses, its doubt."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from galago.evaluate.doubts import Calibration, calibration
from galago.evaluate.intervals import Figure, figure
from galago.evaluate.outcomes import Outcome, Run
from galago.evaluate.words import normalised

__all__ = ["OTHER", "Report", "Task", "report", "rounded", "worst"]

OTHER = ""  # in a confusion: what was said is none of the labels


@dataclass(frozen=True)
class Task:
    """The answers of a task ("" are all) that one metric judges: the mean of their scores, and the
    share that is right."""

    name: str
    metric: str
    score: Figure
    right: Figure


@dataclass(frozen=True)
class Report:
    """The figures of a run.

    tasks: all answers by metric first, then each task.  confusion: how often what was right was
    said to be what, as (right, said, count), most often first; empty without labels.
    top5: of a MobileCLIP, the share whose label is among the five likeliest.  seconds: the median
    from opening a picture to the first token, or the label.
    """

    run: Run
    right: Figure
    tasks: tuple[Task, ...]
    confusion: tuple[tuple[str, str, int], ...]
    top5: float | None
    seconds: float
    calibration: Calibration

    def to_json(self) -> dict[str, Any]:
        run = self.run
        return {
            "model": run.model,
            "settings": dict(run.settings),
            "asked": len(run.outcomes),
            "anew": run.asked,
            "failed": [{"where": one.item.row.where, "error": one.why} for one in run.failures],
            "right": rounded(asdict(self.right)),
            "tasks": [rounded(asdict(task)) for task in self.tasks],
            "confusion": [list(one) for one in self.confusion],
            "top5": self.top5,
            "seconds": round(self.seconds, 4),
            "memory": run.memory,
            "calibration": rounded(asdict(self.calibration)),
        }


def rounded(value: Any) -> Any:
    """The same with six digits behind the point: more than any figure here is sure of."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def report(run: Run, labels: Sequence[str] = ()) -> Report:
    """Of a run with at least one answer."""
    outcomes = run.outcomes
    clip = all(one.answer.best for one in outcomes)
    return Report(
        run,
        figure([float(one.right) for one in outcomes], [one.picture for one in outcomes]),
        tuple(_tasks(outcomes)),
        tuple(_confusion(outcomes, labels)) if labels else (),
        _top5(outcomes) if clip else None,
        statistics.median(one.answer.seconds for one in outcomes),
        calibration(
            [one.answer.known for one in outcomes],
            [one.answer.confidence for one in outcomes],
            [one.answer.doubted for one in outcomes],
            [one.right for one in outcomes],
        ),
    )


def _tasks(outcomes: Sequence[Outcome]) -> list[Task]:
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        for task in ("", *one.item.tasks):
            groups.setdefault((task, one.item.metric.name), []).append(one)
    return [_task(name, metric, groups[name, metric]) for name, metric in sorted(groups)]


def _task(name: str, metric: str, outcomes: Sequence[Outcome]) -> Task:
    pictures = [one.picture for one in outcomes]
    weights = None
    if outcomes[0].item.metric.by_letters:
        weights = [one.weight for one in outcomes]
    score = figure([one.score for one in outcomes], pictures, weights)
    if not outcomes[0].item.metric.graded:
        return Task(name, metric, score, score)
    return Task(name, metric, score, figure([float(one.right) for one in outcomes], pictures))


def _confusion(outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[tuple[str, str, int]]:
    by_words = {normalised(label): label for label in labels}
    counts: Counter[tuple[str, str]] = Counter()
    for one in outcomes:
        label = one.item.answers[0]
        said = label if one.right else by_words.get(normalised(one.answer.said), OTHER)
        counts[label, said] += 1
    return [(*pair, count) for pair, count in sorted(counts.items(), key=lambda e: (-e[1], e[0]))]


def _top5(outcomes: Sequence[Outcome]) -> float:
    return sum(one.item.answers[0] in one.answer.best for one in outcomes) / len(outcomes)


def worst(outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """Of the wrong answers those with the lowest scores; of equal ones the surest come first."""
    wrong = [one for one in outcomes if not one.right]
    return sorted(wrong, key=lambda one: (one.score, -_sure(one)))[:count]


def _sure(one: Outcome) -> float:
    return one.answer.confidence if one.answer.known is None else one.answer.known
