"""Words that a model wasn't taught to read."""

from __future__ import annotations

import pytest

from galago.text.languages import language_note, unread

FOREIGN = ["一只狗在海滩上", "собака на пляже", "كلب على الشاطئ", "犬", "개", "σκύλος", "कुत्ता"]
LATIN = ["a dog", "café", "Übergröße", "ｄｏｇ", "👩 🏴", "2026", "", "a 犬 called Shiba", "5 µm"]


@pytest.mark.parametrize("text", FOREIGN)
def test_other_scripts_are_told(text: str) -> None:
    assert unread(text)
    note = language_note(["a dog", text], "mobileclip2-nano")
    assert note and "mobileclip2-nano reads English" in note and text in note


@pytest.mark.parametrize("text", LATIN)
def test_latin_letters_signs_and_numbers_are_not(text: str) -> None:
    assert not unread(text) and language_note([text], "any") is None


def test_a_note_is_short() -> None:
    assert len(language_note(["狗" * 5000], "m") or "") < 140
