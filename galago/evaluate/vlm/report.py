"""A task's figure beside what was published of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from galago.evaluate.intervals import Figure
from galago.evaluate.published import published_of
from galago.evaluate.report import rounded
from galago.evaluate.vlm.harness import Found
from galago.evaluate.vlm.scores import failures
from galago.evaluate.vlm.tasks import Task

__all__ = ["Beside", "TaskReport", "reported"]


@dataclass(frozen=True)
class Beside:
    """A published figure, per cent, who says so ("paper" or "card"), and where."""

    value: float
    by: str
    source: str


@dataclass(frozen=True)
class TaskReport:
    """What came of a task.

    figure: lmms-eval's own, 0 to 1, with its interval.  size: how many questions the whole task
    has.  failed: what lmms-eval says of answers that didn't come; they count as wrong.
    figures: all of lmms-eval's.
    """

    task: Task
    figure: Figure
    size: int
    published: tuple[Beside, ...]
    failed: tuple[str, ...]
    figures: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task.name,
            "metric": self.task.metric,
            "figure": rounded(asdict(self.figure)),
            "size": self.size,
            "published": [asdict(one) for one in self.published],
            "beside": self.task.beside,
            "failed": list(self.failed),
            "figures": rounded(
                {
                    name.removesuffix(",none"): value
                    for name, value in self.figures.items()
                    if isinstance(value, (int, float)) and "stderr" not in name
                }
            ),
        }


def reported(task: Task, found: Found, figure: Figure, model: str) -> TaskReport:
    """Of a run; `model`: its name in galago's catalogue, "" of one that isn't there."""
    # A task may leave questions out by itself: SEED-Bench's pictures are told apart from videos.
    size = figure.count if len(found.samples) >= found.size else found.size
    return TaskReport(
        task, figure, size, _published(task, model), tuple(failures(found)), found.figures
    )


def _published(task: Task, model: str) -> tuple[Beside, ...]:
    """The first figure of each that published one."""
    found: dict[str, Beside] = {}
    for row in published_of(model):
        value = row.number(task.column)
        if value is not None:
            found.setdefault(row.by, Beside(value, row.by, row.source))
    return tuple(found.values())
