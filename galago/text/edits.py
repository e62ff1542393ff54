"""How many letters apart two texts are."""

from __future__ import annotations

__all__ = ["edit_distance"]


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
