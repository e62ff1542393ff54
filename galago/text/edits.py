"""How many letters apart two texts are, and how many of a text were read wrongly."""

from __future__ import annotations

__all__ = ["character_errors", "edit_distance", "folded"]


def edit_distance(a: str, b: str) -> int:
    """Levenshtein's: insertions, deletions and substitutions of a letter that turn `a` into `b`.

    Wagner and Fischer 1974, a row at a time: O(len(a) * len(b)) steps.
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            best = min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], best
    return row[-1]


def folded(text: str) -> str:
    """With one space where there is white space, and none at the ends."""
    return " ".join(text.split())


def character_errors(truth: str, said: str) -> tuple[int, int]:
    """(wrong, letters) of a text that was read: edits, and what it has, white space folded.

    The character error rate is their quotient; nothing is wrong where both are the same.
    """
    truth = folded(truth)
    return edit_distance(truth, folded(said)), len(truth)
