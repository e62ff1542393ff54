"""Rows become items: what is asked, how it is judged, and what is wrong is told before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from galago.errors import OptionError
from galago.evaluate.items import Asking, FaultyItemsError, Items, items_of
from galago.rows.read import read_data
from tests.helpers.rows import llava, paint, write_json, write_lines


def items(folder: Path, *rows: Any, **asking: Any) -> Items:
    """Of rows of JSON lines; a picture lies beside them."""
    paint(folder / "a.png")
    place = write_lines(folder / "rows.jsonl", rows)
    return items_of(read_data(str(place), several=True), Asking(**asking))


def row(**more: Any) -> dict[str, Any]:
    return {"image": "a.png", "question": "What?", "answer": "red", **more}


def test_a_row_says_how_it_is_judged(tmp_path: Path) -> None:
    found = items(
        tmp_path,
        row(),
        row(metric="ANLS", task="read"),
        row(answers=["red", "crimson"], metric="any_of", task=["x/y", "x/z"]),
        row(choices=["red", "blue"], answer="A"),
        metric="contains",
    ).items
    assert [one.metric.name for one in found] == ["contains", "anls", "any-of", "contains"]
    assert [one.answers for one in found] == [("red",), ("red",), ("red", "crimson"), ("A",)]
    assert [one.tasks for one in found] == [(), ("read",), ("x", "x/y", "x/z"), ()]


def test_choices_are_told_and_their_letter_is_asked(tmp_path: Path) -> None:
    (found,) = items(tmp_path, row(choices=["red", "blue"], answer="blue")).items
    assert found.metric.name == "choice" and found.choices == ("red", "blue")
    assert found.question == (
        "What?\nA. red\nB. blue\nAnswer with the option's letter from the given choices directly."
    )
    assert found.metric.score("B", found.answers, found.choices) == 1


def test_a_suffix_stands_behind_the_last_question(tmp_path: Path) -> None:
    talk = llava("a.png", "And now?", "Blue.")
    (found,) = items(tmp_path, talk).items
    asked = found.behind(" Answer with one word. ")
    assert asked.question == "And now?\nAnswer with one word." and asked.answers == ("Blue.",)
    assert asked.row.turns[0] == found.row.turns[0]
    assert found.behind(" ") is found


def test_a_table_says_it_too(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    table = tmp_path / "rows.csv"
    table.write_text("image,question,answers,metric,task\na.png,What?,red|crimson,contains,x|y\n")
    (found,) = items_of(read_data(str(table), several=True), Asking()).items
    assert (found.answers, found.tasks) == (("red", "crimson"), ("x", "y"))
    assert found.metric.name == "contains"


def test_names_of_columns_in_any_case(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    table = tmp_path / "rows.csv"
    table.write_text("Image,Question,Answer,Metric, Choices,TASK\na.png,What?,B,anls,red|blue,x\n")
    (found,) = items_of(read_data(str(table), several=True), Asking()).items
    assert (found.metric.name, found.choices, found.tasks) == ("anls", ("red", "blue"), ("x",))


@pytest.mark.parametrize("task", [" ", "/", "x|", "/x", "x//", ["x", ""], [" x / "]])
def test_a_task_without_a_name_is_none(tmp_path: Path, task: object) -> None:
    (found,) = items(tmp_path, row(task=task)).items  # "" would count a row twice among all
    assert found.tasks in ((), ("x",))


FAULTS = [
    (row(metric="bleu"), "no metric is called 'bleu': exact, any-of"),
    (row(metric=3), "no metric is called 3"),
    (row(image="b.png"), "no such picture: b.png"),
    (row(answer=""), "answer is empty"),
    (row(question=" "), "question is empty"),
    (row(answers=[]), "answer is empty"),
    (row(choices=["red", "blue"], answer="green"), "the answer 'green' is none of the choices"),
    (row(metric="choice", answer="red wine"), "the answer 'red wine' is no letter"),
    (row(choices="red|"), "1 to 26 choices, none of them empty"),
    (row(choices={"a": 1}), "choices must be a list of texts"),
    (row(task=[1]), "task must be a list of texts"),
]


def test_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(FaultyItemsError, match="11 of 12 rows of .* are faulty: mend") as caught:
        items(tmp_path, row(), *(one for one, _ in FAULTS))
    for number, (told, (_, why)) in enumerate(zip(caught.value.lines, FAULTS, strict=True), 2):
        assert told.startswith(f"rows.jsonl:{number}: ") and why in told, told
    assert f"pictures are looked for in {tmp_path}" in str(caught.value)


def test_faulty_rows_may_be_left_out(tmp_path: Path) -> None:
    found = items(tmp_path, row(metric="bleu"), row(), skip_bad=True)
    assert len(found.items) == 1
    left, which = found.notes[-2:]
    assert left == "left out: 1 row with faults, of 2"
    assert which.startswith("rows.jsonl:1: no metric is called 'bleu'")
    with pytest.raises(FaultyItemsError, match="none is left to ask"):
        items(tmp_path, row(metric="bleu"), skip_bad=True)
    many = [row(metric="bleu")] * 30
    with pytest.raises(FaultyItemsError) as caught:
        items(tmp_path, *many)
    assert len(caught.value.lines) == 21 and caught.value.lines[-1] == "… and 10 more"


def test_a_mistyped_name_is_told(tmp_path: Path) -> None:
    found = items(tmp_path, row(metrik="contains", id=7), row(Choises=["red", "blue"]))
    assert [one.metric.name for one in found.items] == ["exact", "exact"]
    assert found.notes == (
        "metrik says nothing here: is metric meant?",
        "Choises says nothing here: is choices meant?",
    )
    assert items(tmp_path, row(metric="anls", option=1, tags="x")).notes == (
        "option says nothing here: is options meant?",
    )


def test_a_sample_is_drawn_and_told(tmp_path: Path) -> None:
    rows = [row(question=f"{number}?") for number in range(40)]
    first = items(tmp_path, *rows, limit=10, seed=1)
    assert first.notes[-1] == "10 of 40 rows, drawn with seed 1"
    asked = [one.question for one in first.items]
    assert len(set(asked)) == 10 and asked == sorted(asked, key=lambda text: int(text[:-1]))
    assert items(tmp_path, *rows, limit=10, seed=1).items == first.items
    assert items(tmp_path, *rows, limit=10, seed=2).items != first.items
    assert len(items(tmp_path, *rows, limit=100).items) == 40


def test_labels_are_answers_that_come_again(tmp_path: Path) -> None:
    for label in ("red", "dark_blue"):
        paint(tmp_path / "photos" / label / "1.png", len(label))
    assert items_of(read_data(str(tmp_path / "photos")), Asking()).labels == ("dark blue", "red")
    flat = [{"image": "a.png", "label": label} for label in ("cat", "dog", "cat", "dog")]
    assert items(tmp_path, *flat).labels == ("cat", "dog")
    assert items(tmp_path, *flat, limit=1).labels == ("cat", "dog")  # of all rows
    once = [{"image": "a.png", "class": label} for label in ("cat", "dog")]
    assert items(tmp_path, *once).labels == ("cat", "dog")
    captions = [{"image": "a.png", "caption": f"A cat, {number}"} for number in range(4)]
    assert items(tmp_path, *captions).labels == ()
    assert items(tmp_path, row(), row()).labels == ()
    beside = [one | {"category": "cats"} for one in captions]  # which aren't what is answered
    assert items(tmp_path, *beside).labels == ()
    numbers = [{"image": "a.png", "label": number} for number in range(3)]
    assert items(tmp_path, *numbers, {"image": "a.png", "label": None}, skip_bad=True).labels == (
        "0",
        "1",
        "2",
    )


def test_talks_are_asked_with_what_was_said_before(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    place = write_json(
        tmp_path / "talk.json", [llava("a.png", "Why?", "It purrs.") | {"task": "t"}]
    )
    (found,) = items_of(read_data(str(place), several=True), Asking()).items
    assert found.answers == ("It purrs.",) and found.tasks == ("t",)
    assert [one.role for one in found.row.talk()] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("options", "why"),
    [({"metric": "bleu"}, "--metric 'bleu': choose one of exact"), ({"limit": 0}, "--limit 0")],
)
def test_what_can_not_be_asked_for(options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        Asking(**options)
