"""The benchmarks that can be run: one frozen row each, no code.

What is asked and how it is judged is lmms-eval's business. A row says which data sets a task needs,
which of its figures is the published one, and what sets the two apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from galago.errors import OptionError

__all__ = ["TASKS", "Rule", "Task", "tasks_named"]

Rule = Literal["value", "answer", "mmmu", "f1"]


@dataclass(frozen=True)
class Task:
    """A benchmark of lmms-eval.

    data: the data set it reads, by its name at the hub; config and split: which part of it.
    metric, filter: the figure that is told.  picture: the column that tells pictures apart.
    column: of published.tsv; beside: how the published figure came about, where otherwise.
    rule: how a logged answer is a score of it (scores.py).  over: what lmms-eval divides the
    points by, whatever was asked; 0 where it is what was asked.
    """

    name: str
    data: str
    config: str
    split: str
    metric: str
    picture: str
    column: str
    beside: str = ""
    rule: Rule = "value"
    filter: str = "none"
    over: int = 0

    @property
    def figure(self) -> str:
        """What lmms-eval's results call it."""
        return f"{self.metric},{self.filter}"


_LLAVA = "the paper asked it by LLaVA's own script"

TASKS = (
    Task(
        *("gqa", "lmms-lab-encoder/GQA", "testdev_balanced_instructions", "testdev"),
        *("exact_match", "imageId", "GQA", _LLAVA),
    ),
    Task(
        *("textvqa_val", "lmms-lab-encoder/textvqa", "default", "validation"),
        *("exact_match", "image_id", "TextVQA"),
        f"{_LLAVA}; lmms-eval tells the model nothing of what an OCR program read",
    ),
    Task(
        *("seedbench", "lmms-lab-encoder/SEED-Bench", "default", "test"),
        *("seed_image", "image", "SeedBench-I"),
        rule="answer",
    ),
    Task(
        *("docvqa_val", "lmms-lab-encoder/DocVQA", "DocVQA", "validation"),
        *("anls", "image", "DocVQA"),
    ),
    Task(
        *("chartqa", "lmms-lab-encoder/ChartQA", "default", "test"),
        *("relaxed_overall", "image", "ChartQA"),
    ),
    Task(
        *("ocrbench", "echo840/OCRBench", "default", "test"),
        *("ocrbench_accuracy", "image", "OCRBench"),
        over=1000,
    ),
    Task(
        *("pope", "lmms-lab-encoder/POPE", "default", "test"),
        *("pope_f1_score", "image", "POPE"),
        f"{_LLAVA}, which means three F1 scores; here it is that of all answers",
        rule="f1",
    ),
    Task(
        *("mmmu_val", "lmms-lab-encoder/MMMU", "default", "validation"),
        *("mmmu_acc", "image_1", "MMMU"),
        rule="mmmu",
    ),
    Task(
        *("ai2d", "lmms-lab-encoder/ai2d", "default", "test"),
        *("exact_match", "image", "AI2D"),
        filter="flexible-extract",
    ),
    Task(
        *("scienceqa_img", "lmms-lab-encoder/ScienceQA", "ScienceQA-IMG", "test"),
        *("exact_match", "image", "SQA", _LLAVA),
    ),
)
_BY_NAME = {task.name: task for task in TASKS}


def tasks_named(names: str) -> tuple[Task, ...]:
    """Of "gqa,pope", each once; all of them for "all".  OptionError for one that isn't there."""
    if names.strip() == "all":
        return TASKS
    wanted = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    if not wanted:
        raise OptionError(f"--tasks names none; there is: {_listed(tuple(_BY_NAME))}")
    for name in wanted:
        if name not in _BY_NAME:
            near = difflib.get_close_matches(name, _BY_NAME, 1, 0.5)
            meant = f"did you mean {near[0]}?" if near else f"there is: {_listed(tuple(_BY_NAME))}"
            raise OptionError(f"--tasks: there is no {name!r}; {meant}")
    return tuple(_BY_NAME[name] for name in wanted)


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names, "all"])
