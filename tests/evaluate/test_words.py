"""The papers' normalisation, beside a transcription of its rules in another order of work."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from galago.evaluate.words import normalised

COUNTED = "none zero one two three four five six seven eight nine ten"
OTHERS = """a an The THE cat Dog's dont isnt 3.5 1,000 100,978 10 it's 12:30 don't red-green
    (yes) no. U.S.A ? ! , ; / cat,dog what's"""
NUMBERS = COUNTED.split()
PIECES = st.sampled_from([*NUMBERS, *OTHERS.split()])


def transcribed(text: str) -> str:
    """https://visualqa.org/evaluation.html, rule by rule over the whole text."""
    text = given = text.lower()
    text = re.sub(r"\.(?!\d)", "", text)
    for number, word in enumerate(NUMBERS[1:]):
        text = re.sub(rf"(?<![^\s,;/(\-?!]){word}(?![^\s,;/)\-?!])", str(number), text)
    text = re.sub(r"(?<![^\s,;/(\-?!])none(?![^\s,;/)\-?!])", "0", text)
    text = re.sub(r"(\d),(?=\d)", r"\1", text)
    text = re.sub(r'[;/\[\]"{}()=+\\_\-><@`,?!]', " ", text)
    text = re.sub(r"\b(do|is)nt\b", r"\1n't", text)
    words = text.split() or given.split()  # ours: a text of punctuation alone
    return " ".join([word for word in words if word not in ("a", "an", "the")] or words)


@given(st.lists(PIECES, max_size=6).map(" ".join))
@example("The two cats, dont 1,000.5 (a)")
def test_it_is_what_the_rules_say(text: str) -> None:
    assert normalised(text) == transcribed(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("A Red Bus.", "red bus"),
        ("Two!", "2"),
        ("100,978", "100978"),
        ("3.50 dollars", "3.50 dollars"),
        ("isnt it", "isn't it"),
        ("dogs’ bowl", "dogs' bowl"),
        ("it's 12:30", "it's 12:30"),
        ("left/right", "left right"),
        ("«oui»", "oui"),
        ("红色。", "红色"),
        ("A", "a"),
        ("its", "its"),
        ("+", "+"),
        (" - ", "-"),
        ("?!", "?!"),
        ("", ""),
    ],
)
def test_rules_one_by_one(text: str, plain: str) -> None:
    assert normalised(text) == plain
    assert normalised(plain) == plain
