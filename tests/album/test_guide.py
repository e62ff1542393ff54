"""A photo found, as its guide hands it on."""

from __future__ import annotations

import pytest

from galago.album import Found


@pytest.mark.parametrize(
    ("strength", "match", "close"),
    [
        (4.2, True, True),  # words, far above everyday things
        (2.1, True, False),
        (1.2, False, False),
        (0.95, True, True),  # a picture of the same
        (0.65, True, False),
        (0.9, False, False),  # words again: a picture so alike would match
    ],
)
def test_a_close_match_is_more_than_a_match(strength: float, match: bool, close: bool) -> None:
    assert Found("a.jpg", 0.5, strength, match).close is close
