"""A row's identity, and which rows may stand in one table."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from galago.errors import OptionError
from galago.scale.rows import COLUMNS, Batch, Made, Row

MADE = Made("m", "m-1", 8, "float32", "v 1", "What?", True)


def test_a_name_is_text_or_keeps_its_bytes() -> None:
    assert Row("/ä.jpg".encode()).path() == ("/ä.jpg", None)
    assert Row(b"/n\xe9.jpg").path() == ("/n\\xe9.jpg", b"/n\xe9.jpg")
    # ... so that this other file is another picture
    assert Row(b"/n\\xe9.jpg").path() == ("/n\\xe9.jpg", None)


def test_the_columns_are_those_of_a_row_and_of_its_models() -> None:
    own = {field.name for field in fields(Row)} - {"name"}
    about = {"path", "path_bytes", "model", "identity", "precision", "captioner"}
    assert set(COLUMNS) == own | about


def test_what_rows_have_in_common_is_kept() -> None:
    assert Made.of_json(MADE.to_json(), "out") == MADE
    MADE.check(MADE, "out")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"identity": "m-2"}, "out holds vectors of another m"),
        ({"identity": "n-1", "model": "n"}, "out holds vectors of m, not n"),
        ({"vectors": "float16"}, "out holds vectors in float32, not float16"),
        ({"captioner": ""}, "out holds captions by v 1, not nobody"),
        ({"asked": "Why?"}, "out holds captions that answer 'What?', not 'Why?'"),
        ({"read": False}, "out holds texts read: yes, not no"),
    ],
)
def test_other_rows_are_refused(other: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError) as caught:
        MADE.check(replace(MADE, **other), "out")  # type: ignore[arg-type]
    assert str(caught.value).startswith(told) and "give another OUT" in str(caught.value)


def test_a_model_of_another_folder_is_the_same_by_its_identity() -> None:
    MADE.check(replace(MADE, model="/elsewhere/m"), "out")


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '{"format": 1}', b"\xff"])
def test_what_others_keep_there_is_told(text: str | bytes) -> None:
    with pytest.raises(OptionError, match="was not made by galago embed"):
        Made.of_json(text, "out")


def test_a_later_format_is_told() -> None:
    later = json.dumps(json.loads(MADE.to_json()) | {"format": 2})
    with pytest.raises(OptionError, match="has format 2 and this galago writes 1"):
        Made.of_json(later, "out")


def test_parts_of_a_batch_stay_in_order() -> None:
    first, second = Batch([Row(b"1")], [(b"2", "no")], "bf16"), Batch([Row(b"3")], [], "bf16")
    whole = Batch.joined([first, second])
    assert [row.name for row in whole.rows] == [b"1", b"3"]
    assert whole.unread == [(b"2", "no")] and whole.precision == "bf16"
