"""How many letters apart two texts are, beside the definition."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from galago.text.edits import edit_distance

WORDS = st.text("abä ", max_size=8)


def by_definition(a: str, b: str) -> int:
    """Levenshtein's recursion, letter by letter from the front."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(
            rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (a[i] != b[j])
        )  # fmt: skip

    return rest(0, 0)


@settings(deadline=None, database=None)  # other processes are at work
@given(WORDS, WORDS)
def test_it_is_the_definition(a: str, b: str) -> None:
    assert edit_distance(a, b) == by_definition(a, b) == edit_distance(b, a)


def test_known_ones() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "four") == 4 and edit_distance("same", "same") == 0
