"""All figures of a run, beside counting by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galago.evaluate.intervals import wilson
from galago.evaluate.items import Item
from galago.evaluate.outcomes import run
from galago.evaluate.report import report, rounded, worst
from tests.helpers.evaluations import FakeAsker, answer, items_in

SAID = [
    ("1", "cat", "a cat", "exact", ["x/y"]),
    ("2", "cat", "dog", "exact", ["x/z"]),
    ("3", "dog", "Dog.", "exact", ["x/z"]),
    ("4", "cat", "a dog", "exact", []),
    ("5", "dog", "horse", "exact", []),
    ("6", "read", "reap", "characters", ["t"]),
    ("7", "a longer one", "a longer one", "characters", ["t"]),
]
ROWS = [
    {"image": f"{name}.png", "question": "What?", "answer": right, "metric": metric, "task": tasks}
    for name, right, _, metric, tasks in SAID
]


def say(item: Item) -> str:
    number = item.row.pictures[0].name.split(".")[0]
    return next(said for name, _, said, _, _ in SAID if name == number)


@pytest.fixture
def items(tmp_path: Path) -> tuple[Item, ...]:
    return items_in(tmp_path, ROWS)


def test_figures_by_metric_and_task(items: tuple[Item, ...]) -> None:
    found = report(run(items, FakeAsker(say)), ("cat", "dog"))
    assert found.right.mean == pytest.approx(3 / 7) and found.right.method == "wilson"
    by_name = {(one.name, one.metric): one for one in found.tasks}
    assert {*by_name} == {
        ("", "exact"), ("", "characters"), ("x", "exact"), ("x/y", "exact"), ("x/z", "exact"),
        ("t", "characters"),
    }  # fmt: skip
    exact = by_name["", "exact"].score
    assert (exact.mean, exact.low, exact.high) == (0.4, *wilson(2, 5))
    assert by_name["x", "exact"].score.count == 3 and by_name["x/z", "exact"].score.mean == 0.5
    letters = by_name["t", "characters"]
    assert letters.score.mean == pytest.approx(1 - 1 / 16)  # one letter of all that are there
    assert letters.right.mean == 0.5 and letters.score.method == "bootstrap"
    assert json.loads(json.dumps(found.to_json()))["tasks"][0]["metric"] == "characters"


def test_what_is_taken_for_what(items: tuple[Item, ...]) -> None:
    found = report(run(items[:5], FakeAsker(say)), ("cat", "dog"))
    assert found.confusion == (
        ("cat", "dog", 2), ("cat", "cat", 1), ("dog", "", 1), ("dog", "dog", 1)
    )  # fmt: skip
    assert report(run(items, FakeAsker(say))).confusion == ()


def test_labels_have_five_likeliest(items: tuple[Item, ...]) -> None:
    best = FakeAsker(lambda item: answer("dog", best=("dog", "horse")))
    assert report(run(items[:5], best)).top5 == pytest.approx(2 / 5)
    assert report(run(items[:5], FakeAsker(say))).top5 is None


def test_seconds_are_the_median(items: tuple[Item, ...]) -> None:
    times = iter([0.1, 9.0, 0.2])
    asker = FakeAsker(lambda item: answer("x", seconds=next(times)))
    assert report(run(items[:3], asker)).seconds == 0.2


def test_doubt_is_judged(items: tuple[Item, ...]) -> None:
    asker = FakeAsker(lambda item: answer("cat", known=0.9, doubted=False))
    found = report(run(items[:5], asker)).calibration
    assert found.by == "known" and found.sure is not None
    assert (found.sure.count, found.sure.right) == (5, 0.6)
    assert found.ece == pytest.approx(0.3)


def test_the_worst_are_wrong_and_sure(items: tuple[Item, ...]) -> None:
    sure = {"1": 0.9, "2": 0.2, "3": 0.9, "4": 0.8, "5": 0.5, "6": 1.0, "7": 1.0}
    asker = FakeAsker(lambda item: answer(say(item), sure[item.row.pictures[0].name.split(".")[0]]))
    found = worst(run(items, asker).outcomes, 4)
    assert [one.item.row.pictures[0].name for one in found] == ["4.png", "5.png", "2.png", "6.png"]
    assert worst(run(items, asker).outcomes, 1) == found[:1]


def test_rounded() -> None:
    assert rounded({"a": [1 / 3, 2, "x", (0.1234567,)]}) == {"a": [0.333333, 2, "x", [0.123457]]}
