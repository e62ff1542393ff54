"""A record of any way of writing a talk -> a row, or what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from galago.errors import OptionError
from galago.rows.records import ABOUT_LABELS, Columns, Reading, columns_of
from galago.rows.rows import PhotoFile, RowError, Turn
from galago.text.presets import PRESETS
from tests.helpers.rows import llava

READING = Reading("/photos")


def said(*turns: tuple[str, object], **more: object) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": text} for who, text in turns], **more}


def test_llavas_conversations() -> None:
    row = READING.row(llava("coco/1.jpg", "Why?", "It purrs.", name=7), "train.json:17")
    assert row.pictures == (PhotoFile("coco/1.jpg", "/photos/coco/1.jpg"),)
    assert row.turns == (Turn("<image>\nWhat is this?", "A cat."), Turn("Why?", "It purrs."))
    assert (row.where, row.name, row.system) == ("train.json:17", "7", "")


def test_several_pictures_none_and_a_system_prompt() -> None:
    both = READING.row(llava(["a.png", "/elsewhere/b.png"], question="<image><image>Which?"), "x")
    assert [photo.path for photo in both.pictures] == ["/photos/a.png", "/elsewhere/b.png"]
    for nothing in (None, "", []):
        assert READING.row(llava(nothing, question="Hello?"), "x").pictures == ()
    told = READING.row(said(("system", "Be brief."), ("human", "Hi"), ("gpt", "Hi.")), "x")
    assert (told.system, told.turns) == ("Be brief.", (Turn("Hi", "Hi."),))


def test_messages_of_chat_apis() -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]
    talk = [{"role": "user", "content": parts}, {"role": "assistant", "content": "A dog."}]
    row = READING.row({"images": ["d.png"], "messages": talk}, "x")
    assert row.turns == (Turn("<image>\nWhat?", "A dog."),)
    assert row.pictures[0].name == "d.png"


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (["a"], "not an object but a list"),
        ({"conversations": "hello"}, "conversations is not a list but text"),
        ({"conversations": []}, None),
        (said(("gpt", "Hi")), "begins with the assistant: question and answer take turns"),
        (said(("human", "a"), ("human", "b")), "has at 2 the user"),
        (said(("system", "s"), ("human", "a"), ("gpt", "b"), ("gpt", "c")), "has at 4 the assist"),
        (said(("human", "a"), ("gpt", "b"), ("human", "c")), "its last question has no answer"),
        (said(("human", "a"), ("robot", "b")), "message 2 is from 'robot'"),
        (said(("human", "a"), (None, "b")), "message 2 is from nothing"),  # type: ignore[list-item]
        (said(("human", "a"), ("gpt", ["b"])), "message 2 has a part that is neither text"),
        (said(("human", "a"), ("gpt", True)), "message 2 is not text but true or false"),
        (said(("human", "a"), ("gpt", {"a": 1})), "message 2 is not text but an object"),
        ({"conversations": ["hello"]}, "message 1 is not an object but text"),
        (llava(3), "a picture is named by a number and not by a path"),
        (llava([["a.png"]]), "a picture is named by a list"),
        (llava("https://x.org/a.png"), "nothing is fetched: download https://x.org/a.png first"),
        (llava("data:image/png;base64,AAAA"), "nothing is fetched"),
        ({"image": "a.png"}, "none of image is an answer, caption or label"),
        ({}, "none of no columns is an answer"),
        (
            {"image": "a.png", "question": "q", "answer": ["a", "b"]},
            "answer is not text but a list",
        ),
    ],
)
def test_what_is_no_row(record: object, fault: str | None) -> None:
    if fault is None:
        assert list(READING.row(record, "train.json:3").faults()) == ["it has no question"]
        return
    with pytest.raises(RowError, match=f"train.json:3: .*{fault}"):
        READING.row(record, "train.json:3")


def test_flat_records() -> None:
    row = READING.row({"image": "a.png", "question": "How many?", "answer": 3}, "x")
    assert row.turns == (Turn("How many?", "3"),)
    label = READING.row({"file_name": "a.png", "label": "cat"}, "x")
    assert label.turns == (Turn(ABOUT_LABELS, "cat"),)
    caption = READING.row({"file_name": "a.png", "text": "A cat."}, "x")
    assert caption.turns == (Turn(PRESETS["describe"], "A cat."),)


def test_columns_are_found_by_their_usual_names() -> None:
    assert columns_of([" Image ", "QUESTION", "Answer"]) == Columns(" Image ", "QUESTION", "Answer")
    assert columns_of(["text", "answer", "image", "prompt"]).answer == "answer"
    asked = columns_of(["path", "caption"], "What now?")
    assert (asked.question, asked.asked) == ("", "What now?")
    assert columns_of(["path", "question", "caption"], "What now?").asked == ""
    with pytest.raises(OptionError, match="none of image, answer is a question"):
        columns_of(["image", "answer"])
    assert columns_of(["image", "answer"], "Why?").asked == "Why?"
    with pytest.raises(OptionError, match="none of photo, foo is an answer"):
        columns_of(["photo", "foo"])


def test_several_answers_are_right_only_where_nobody_learns() -> None:
    record = {"image": "a.png", "question": "What?", "answers": ["red", " crimson", 7, "red", ""]}
    row = Reading("/photos", several=True).row(record, "x")
    assert row.answers == ("red", "crimson", "7") and row.turns == (Turn("What?", "red"),)
    assert row.record == record
    with pytest.raises(RowError, match="galago evaluate: to learn, name one answer"):
        READING.row(record, "x")
    with pytest.raises(RowError, match="answer is not text but a list"):
        READING.row(record | {"answer": ["red"]}, "x")


@pytest.mark.parametrize(
    ("column", "cell", "answers"),
    [
        ("answers", "red | crimson", ("red", "crimson")),
        ("answer", "red | crimson", ()),  # one text with a bar in it
        ("answers", "red", ()),
        ("answers", ["a|b"], ()),
    ],
)
def test_a_cell_of_answers_is_cut_at_bars(
    column: str, cell: object, answers: tuple[str, ...]
) -> None:
    record = {"image": "a.png", "question": "What?", column: cell}
    assert Reading("/photos", several=True).row(record, "x").answers == answers
