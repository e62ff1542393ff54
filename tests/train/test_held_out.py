"""The trainer's held-out questions as a folder: galago evaluate finds what the model card says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from galago.evaluate.items import Asking, Item, items_of
from galago.evaluate.outcomes import run
from galago.evaluate.report import report
from galago.rows.read import read_data
from galago.train.nano.vlm.evaluate import name, read
from galago.train.nano.vlm.held_out import Question, write
from tests.helpers.evaluations import FakeAsker

SAID = {
    "text": [("Free\ncoffee", "Free cofee"), ("seven", "seven"), ("at ten", "as tem")],
    "fingers": [("2", "2."), ("5", "4")],
    "emoji": [("a red heart", "A red heart."), ("an eye", "a heart"), ("a cat", "A dog.")],
    "objects": [("pants", "Pants."), ("a dress", "A skirt.")],
}


def questions() -> Iterator[Question]:
    """A picture of one colour each."""
    for task, pairs in SAID.items():
        for number, (truth, _) in enumerate(pairs):
            picture = Image.new("RGB", (9, 7), (number * 40, len(task) * 9, 77))
            yield Question(task, (("odd", "even")[number % 2],), picture, f"{task}?", truth)


class Scripted:
    """Says what stands beside each truth, in order."""

    def __init__(self, task: str) -> None:
        self._said = iter(said for _, said in SAID[task])

    def ask(self, picture: object, prompt: str, options: object) -> str:
        return next(self._said)


def test_the_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert write(questions(), tmp_path / "out") == 10
    data = read_data(str(tmp_path / "out"), several=True)
    items = items_of(data, Asking()).items
    for item, one in zip(items, questions(), strict=True):
        assert (item.question, item.answers[0]) == (one.prompt, one.truth.strip())
        assert item.tasks == (one.task, f"{one.task}/{one.groups[0]}")
        with Image.open(item.row.pictures[0].source()) as picture:  # type: ignore[arg-type]
            assert picture.convert("RGB").tobytes() == one.picture.tobytes()  # without any loss


def test_figures_are_those_of_the_card(tmp_path: Path) -> None:
    write(questions(), tmp_path / "out")
    items = items_of(read_data(str(tmp_path / "out"), several=True), Asking()).items
    said = iter(text for pairs in SAID.values() for _, text in pairs)

    def say(item: Item) -> str:
        return next(said)

    found = {one.name: one for one in report(run(items, FakeAsker(say))).tasks}
    for task in SAID:
        some = [one for one in questions() if one.task == task]
        vlm = Scripted(task)
        if task == "text":
            figures = read(vlm, some)  # type: ignore[arg-type]
            assert 1 - found["text"].score.mean == pytest.approx(figures["cer_all"], abs=1e-4)
            assert found["text"].right.mean == pytest.approx(figures["exact"], abs=1e-4)
            odd = 1 - found["text/odd"].score.mean
            assert odd == pytest.approx(figures["cer_odd"], abs=1e-4)
        else:
            figures = name(vlm, some)  # type: ignore[arg-type]
            for key, other in (("all", task), ("odd", f"{task}/odd"), ("even", f"{task}/even")):
                assert found[other].score.mean == pytest.approx(figures[key], abs=1e-4)
                assert found[other].score.count == figures[f"count_{key}"]


def test_nothing_half_is_left(tmp_path: Path) -> None:
    def broken() -> Iterator[Question]:
        yield from questions()
        raise ValueError

    with pytest.raises(ValueError):
        write(broken(), tmp_path / "out")
    assert [*tmp_path.iterdir()] == []
