"""What others published about models: the papers' tables and the models' cards, a source a row.

The rows are in galago/data/published.tsv. Shares are per cent, OCRBench's points a tenth of those
that its own script gives. Times are of other machines (`device`): no figure of this one stands on
an axis with them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from galago.places import DATA

__all__ = ["Published", "published", "published_of"]

_WAYS = "-OpenCLIP"  # the same weights in another layout


@dataclass(frozen=True)
class Published:
    """A row.

    name: what galago calls the model, without its owner; "" for one that isn't in its catalogue.
    kind: "vlm" or "clip".  cells: what stands in each column, as it was published.
    """

    name: str
    kind: str
    model: str
    source: str
    cells: Mapping[str, str]

    @property
    def by(self) -> str:
        """Who says so, in a word: "card" or "paper", else "results"."""
        for word in ("card", "arXiv"):
            if word in self.source:
                return {"card": "card", "arXiv": "paper"}[word]
        return "results"

    def number(self, column: str) -> float | None:
        """What a column says; None where it says nothing, or more than a number.

        KeyError for a column that isn't there.
        """
        try:
            return float(self.cells[column])
        except ValueError:
            return None


@cache
def published() -> tuple[Published, ...]:
    """All rows, in the order of the papers."""
    with (DATA / "published.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return tuple(
            Published(row["name"], row["kind"], row["model"], row["source"], dict(row))
            for row in rows
        )


def published_of(model: str) -> tuple[Published, ...]:
    """What was published about a model of galago's catalogue, the layout being no matter."""
    name = model.split("/")[-1].removesuffix(_WAYS)
    return tuple(row for row in published() if row.name and row.name == name)
