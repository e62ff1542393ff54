"""What lmms-eval logged of each question as a score, and the figure of all with its interval.

The figure is lmms-eval's own. The scores only say how sure it is: where their mean isn't that
figure, it stands without an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from galago.evaluate.intervals import Figure, drawn_sums, figure
from galago.evaluate.vlm.harness import FAILED, Found
from galago.evaluate.vlm.tasks import Rule, Task

__all__ = ["failures", "judged"]

_NEAR = 1e-4  # some scripts round their means to five digits


def judged(task: Task, found: Found, pictures: Sequence[Hashable] | None = None) -> Figure:
    """The task's figure, 0 to 1, of the questions that count in it, and its 95 % interval.

    `pictures` says which picture each question is about, by its number; without it each is about
    one of its own.
    """
    counted = [sample for sample in found.samples if task.metric in sample]
    of = [int(sample["doc_id"]) for sample in counted]
    about: list[Hashable] = [pictures[number] for number in of] if pictures else [*of]
    told = float(found.figures[task.figure])
    if task.over:  # a mean of all questions even where fewer were asked
        told *= task.over / len(counted)
    values = [sample[task.metric] for sample in counted]
    if task.rule == "f1":
        mean = _f1(values, about)
    else:
        mean = figure([_SCORES[task.rule](value) for value in values], about)
    if abs(mean.mean - told) > _NEAR:
        return Figure(told, told, told, mean.count, mean.pictures, "")
    return replace(mean, mean=told)


def failures(found: Found) -> list[str]:
    """Answers that didn't come, as lmms-eval tells of them; they count as wrong."""
    said = [str(sample.get("filtered_resps", "")) for sample in found.samples]
    said += [str(sample["resps"]) for sample in found.samples if "resps" in sample]
    return [text for text in said if FAILED in text]


def _value(value: Any) -> float:
    """A score, or a record with one."""
    return float(value["score"] if isinstance(value, Mapping) else value)


def _answer(value: Mapping[str, str]) -> float:
    """SEED-Bench's letter."""
    return float(value["pred"].lower().strip() == value["answer"].lower().strip())


def _mmmu(value: Mapping[str, Any]) -> float:
    """MMMU's: of several parsed replies one must do; one to an open question is a list."""
    answers = value["answer"]
    right = answers if isinstance(answers, list) else [answers]
    for said in value["parsed_pred"]:
        if value["question_type"] == "multiple-choice":
            if said in right:
                return 1.0
        elif any(_meets(one, norm) for one in said for norm in map(_normal, right)):
            return 1.0
    return 0.0


def _meets(said: str | float, right: str | float) -> bool:
    """Of texts the right one stands in what was said, one letter at a word's edge; numbers are
    equal."""
    if not isinstance(said, str):
        return said == right
    if not isinstance(right, str):
        return False
    return any(
        part in said for part in ((f" {right}", f"{right} ") if len(right) == 1 else [right])
    )


def _normal(text: str) -> str | float:
    """A number to two digits, else small letters."""
    text = text.strip()
    try:
        return round(float(text.replace(",", "")), 2)
    except ValueError:
        return text.lower()


_SCORES: dict[Rule, Callable[[Any], float]] = {"value": _value, "answer": _answer, "mmmu": _mmmu}


def _f1(values: Sequence[Mapping[str, str]], pictures: Sequence[Hashable]) -> Figure:
    """F1 of "yes", and a percentile bootstrap that draws pictures.

    As lmms-eval has it, what is neither "yes" nor "no" misses nothing.
    """
    said = np.array([value["prediction"] == "yes" for value in values], np.float64)
    answered = np.array([value["prediction"] in ("yes", "no") for value in values])
    right = answered * np.array([value["ground_truth"] == "yes" for value in values], np.float64)
    counts = np.stack([2 * said * right, said + right])  # twice the hits, over yeses of either
    mean = _share(counts.sum(1)[None])[0]
    several = len(set(pictures))
    if several == 1:
        return Figure(float(mean), float(mean), float(mean), len(values), 1, "")
    drawn = np.concatenate([*drawn_sums(counts, pictures, seed=0)])
    low, high = np.percentile(_share(drawn), (2.5, 97.5))
    return Figure(float(mean), float(low), float(high), len(values), several, "bootstrap")


def _share(sums: Any) -> Any:
    """(n, 2) to (n,): 0 where nobody says yes, as POPE's script has it."""
    return np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)
