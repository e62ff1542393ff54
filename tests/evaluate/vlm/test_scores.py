"""Scores of what lmms-eval logs, beside counting by hand."""

from __future__ import annotations

from typing import Any

import pytest

from galago.evaluate.intervals import wilson
from galago.evaluate.vlm.harness import FAILED, Found
from galago.evaluate.vlm.scores import failures, judged
from galago.evaluate.vlm.tasks import Task, tasks_named


def task(name: str) -> Task:
    return tasks_named(name)[0]


def found(task: Task, figure: float, *values: Any) -> Found:
    samples = tuple({"doc_id": at, task.metric: value} for at, value in enumerate(values))
    return Found({task.figure: figure}, samples, len(values))


def test_a_share_has_wilsons_interval() -> None:
    gqa = task("gqa")
    figure = judged(gqa, found(gqa, 0.75, 1.0, 1.0, 0.0, 1.0))
    assert (figure.mean, figure.low, figure.high) == (0.75, *wilson(3, 4))
    assert (figure.count, figure.pictures, figure.method) == (4, 4, "wilson")


def test_questions_about_one_picture_go_wrong_together() -> None:
    gqa = task("gqa")
    values = [1.0, 1.0, 0.0, 0.0] * 3
    alone = judged(gqa, found(gqa, 0.5, *values))
    pairs = [number // 2 for number in range(12)]
    together = judged(gqa, found(gqa, 0.5, *values), pairs)
    assert together.pictures == 6 and together.method == "bootstrap"
    assert together.high - together.low > alone.high - alone.low


def test_a_figure_that_is_no_mean_of_the_scores_has_no_interval() -> None:
    gqa = task("gqa")
    figure = judged(gqa, found(gqa, 0.7, 1.0, 0.0))
    assert (figure.mean, figure.low, figure.high, figure.method) == (0.7, 0.7, 0.7, "")


def test_ocrbenchs_points_are_of_what_was_asked() -> None:
    ocr = task("ocrbench")
    points = [{"score": 1}, {"score": 1}, {"score": 0}, {"score": 1}]
    figure = judged(ocr, found(ocr, 3 / 1000, *points))
    assert figure.mean == pytest.approx(0.75) and figure.method == "wilson"


def test_seedbench_counts_pictures_alone() -> None:
    seed = task("seedbench")
    said = (("A", "A"), ("a", "A"), ("B", "A"), ("C", "A"))
    values = [{"pred": pred, "answer": answer} for pred, answer in said]
    samples = [{"doc_id": at, "seed_image": value} for at, value in enumerate(values)]
    video = {"doc_id": 4, "seed_video": {"pred": "A", "answer": "A"}}
    figure = judged(seed, Found({seed.figure: 0.5}, (*samples, video), 5))
    assert (figure.mean, figure.count, figure.method) == (0.5, 4, "wilson")


def test_mmmu_takes_letters_and_parsed_replies() -> None:
    mmmu = task("mmmu_val")

    def value(kind: str, right: str | list[str], *said: Any) -> dict[str, Any]:
        return {"question_type": kind, "answer": right, "parsed_pred": [*said]}

    values = [
        (value("multiple-choice", "B", "B"), 1),
        (value("multiple-choice", "B", "A"), 0),
        (value("open", "3.14", [3.14, "is 3.14"]), 1),
        (value("open", "1,200", ["so it is", 1200.0]), 1),
        (value("open", "Circle", ["a red circle"]), 1),
        (value("open", "x", ["the fox ran"]), 1),  # at a word's edge, as the script has it
        (value("open", "x", ["taxes"]), 0),
        (value("open", "7", ["7"]), 0),  # a text is no number
        (value("open", ["a", "ten"], ["of ten"]), 1),
    ]
    mean = sum(score for _, score in values) / len(values)
    figure = judged(mmmu, found(mmmu, round(mean, 5), *(one for one, _ in values)))
    assert figure.method == "wilson" and figure.mean == pytest.approx(mean, abs=1e-4)


def test_popes_figure_is_f1() -> None:
    pope = task("pope")
    pairs = [("yes", "yes"), ("yes", "no"), ("no", "yes"), ("no", "no"), ("maybe", "yes")] * 8
    values = [{"prediction": said, "ground_truth": right} for said, right in pairs]
    precision, recall = 1 / 2, 1 / 2  # "maybe" is no "no", and misses nothing
    f1 = 2 * precision * recall / (precision + recall)
    figure = judged(pope, found(pope, f1, *values))
    assert figure.mean == pytest.approx(f1) and figure.method == "bootstrap"
    assert figure.low < f1 < figure.high and figure.count == 40
    never = [{"prediction": "no", "ground_truth": "yes"}] * 3
    assert judged(pope, found(pope, 0.0, *never)).mean == 0.0


def test_answers_that_did_not_come() -> None:
    samples = (
        {"doc_id": 0, "exact_match": 0.0, "filtered_resps": f"{FAILED} after 2 retries] too long"},
        {"doc_id": 1, "exact_match": 0.0, "filtered_resps": "A", "resps": [f"{FAILED} after"]},
        {"doc_id": 2, "exact_match": 1.0, "filtered_resps": "yes"},
    )
    told = failures(Found({}, samples, 3))
    assert len(told) == 2 and told[0].endswith("too long")
