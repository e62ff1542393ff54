"""Runs: each item once, what is known isn't asked, what fails doesn't end it."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.evaluate.items import Item
from galago.evaluate.kept import KeptAnswers
from galago.evaluate.outcomes import Failure, run
from tests.helpers.evaluations import FakeAsker, items_in

ROWS = [
    {"image": f"{name}.png", "question": f"{name}?", "answer": "red", "metric": metric}
    for name, metric in (("a", "exact"), ("b", "characters"), ("c", "exact"))
]


def rest(item: Item) -> str:
    return {"a?": "Red.", "b?": "rad", "c?": "damaged"}[item.question]


def test_answers_are_judged_and_failures_told(tmp_path: Path) -> None:
    heard: list[object] = []
    found = run(items_in(tmp_path, ROWS), FakeAsker(rest), heard=heard.append)
    first, second = found.outcomes
    assert (first.score, first.right, first.weight) == (1, True, 1)
    assert second.score == pytest.approx(2 / 3) and not second.right and second.weight == 3
    (failed,) = found.failures
    assert failed.why == "it is damaged" and failed.item.question == "c?"
    assert heard == [first, second, failed] and isinstance(failed, Failure)
    assert (found.asked, found.model, found.settings["precision"]) == (2, "fake", "fp32")
    told = first.to_json()
    assert told["where"] == "rows.jsonl:1" and told["picture"] == "a.png" and told["said"] == "Red."


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    items = items_in(tmp_path, ROWS[:2])

    def stopped(item: Item) -> str:
        if item.question == "b?":
            raise KeyboardInterrupt
        return "red"

    asker = FakeAsker(stopped)
    with pytest.raises(KeyboardInterrupt), KeptAnswers(tmp_path, asker.identity) as kept:
        run(items, asker, kept)
    later = FakeAsker(lambda item: "blue")
    with KeptAnswers(tmp_path, later.identity) as kept:
        found = run(items, later, kept)
        assert later.asked == ["b?"] and found.asked == 1
        assert [one.answer.said for one in found.outcomes] == ["red", "blue"]
        assert run(items, later, kept).asked == 0
        anew = run(items, later, kept, again=True)
        assert [one.answer.said for one in anew.outcomes] == ["blue", "blue"] and anew.asked == 2
        assert [one.answer.said for one in run(items, later, kept).outcomes] == ["blue", "blue"]
    other = FakeAsker(lambda item: "green", "int8")
    with KeptAnswers(tmp_path, other.identity) as kept:
        assert run(items, other, kept).asked == 2


def test_data_may_be_mended_without_asking_anew(tmp_path: Path) -> None:
    asker = FakeAsker(lambda item: "crimson")
    with KeptAnswers(tmp_path, asker.identity) as kept:
        assert not run(items_in(tmp_path, ROWS[:1]), asker, kept).outcomes[0].right
        mended = items_in(tmp_path, [ROWS[0] | {"answer": "crimson"}])
        assert run(mended, asker, kept).outcomes[0].right and len(asker.asked) == 1
