"""What is searched for in the place of what was typed."""

from __future__ import annotations

from galago.errors import ModelError
from galago.text.queries import Query, as_typed, read, searched_for


def translate(text: str) -> str:
    return f"<{text}>"


def fail(text: str) -> str:
    raise ModelError("it went round in circles")


def test_english_is_searched_as_it_is() -> None:
    for text in ("a red dress", "café 2026", "💃", ""):
        assert read(text, "m", fail) == Query(text, text)


def test_a_translator_is_asked_first() -> None:
    for text in ("红色连衣裙", "красное платье", "赤いドレス", "red 连衣裙"):
        assert read(text, "m", translate) == Query(text, f"<{text}>")


def test_without_one_chinese_is_read_word_by_word() -> None:
    assert read("红色连衣裙", "m") == Query("红色连衣裙", "red dress", rough=True)
    part = read("鬽红裙子", "m")
    assert part.text == "red skirt" and part.notes == (
        "not understood and left out of the query: “鬽”",
    )


def test_a_translator_that_fails_is_told_and_done_without() -> None:
    rough = read("红色连衣裙", "m", fail)
    assert rough.text == "red dress" and rough.notes == ("it went round in circles",)
    kept = read("красное платье", "m", fail)
    assert kept.text == "красное платье" and not kept.understood
    assert kept.notes[0] == "it went round in circles" and "reads English only" in kept.notes[1]


def test_what_nobody_understands_is_told() -> None:
    for text in ("的", "鬽魊", "красное платье", "赤いドレス"):
        found = read(text, "m")
        assert found.text == text and not found.understood and "chance" in found.notes[-1]
    assert as_typed("红色连衣裙", "m").notes == (
        "m reads English only: what it makes of “红色连衣裙” is chance; say it in English",
    )


def test_what_is_searched_for_is_one_line() -> None:
    red, dog, cat = Query("红", "red"), Query("dog", "dog"), Query("猫", "cat")
    assert searched_for([dog], [dog]) is None and searched_for([]) is None
    assert searched_for([red]) == "red"
    assert searched_for([red, dog], [cat]) == "red + dog − cat"
    assert searched_for([], [cat]) == "− cat"
