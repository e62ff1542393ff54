"""What papers and repositories have published: rows with their sources, never mixed with ours.

What the bench needs of galago/data/published.tsv; galago.evaluate, a peer that isn't imported here,
has a reader of its own for a model's row.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache

from galago.places import DATA

__all__ = ["AVERAGED", "FIVE", "Published", "find", "mean", "number", "published"]

Published = Mapping[str, str]  # a row by its columns; "" for what wasn't published
# What nearly every model of the tables has, so that one mean compares them all.
AVERAGED = ("DocVQA", "MMMU", "SeedBench-I")
FIVE = ("GQA", "TextVQA", "POPE", "DocVQA", "SeedBench-I")  # the FastVLM paper's "Avg-5"


@cache
def published() -> tuple[Published, ...]:
    """Every row of published.tsv, in its order."""
    text = (DATA / "published.tsv").read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def find(model: str, llm: str = "", px: int | None = None) -> Published | None:
    """The last row (of the paper's stages the best trained) of a model; None when there is none.

    `model` is how its name begins, up to a bracket or a comma; `px` of those with several sides.
    """
    rows = [
        row
        for row in published()
        if model and (row["model"] == model or row["model"].startswith(f"{model} ("))
        and (not llm or row["llm"] == llm)
        and (px is None or not row["input_px"] or str(px) in row["input_px"].split("+"))
    ]  # fmt: skip
    return rows[-1] if rows else None


def number(row: Published | None, column: str) -> float | None:
    """A figure of a row; None for what isn't there or is no single number."""
    try:
        return float(row[column]) if row else None
    except ValueError:
        return None


def mean(row: Published | None, tasks: Sequence[str] = AVERAGED) -> float | None:
    """The mean of these tasks, in per cent; None unless all of them were published."""
    found = [number(row, task) for task in tasks]
    told = [one for one in found if one is not None]
    return sum(told) / len(told) if len(told) == len(found) else None
