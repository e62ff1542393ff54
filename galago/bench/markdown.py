"""What every page of results is written with: numbers, paragraphs, and the parts that all have."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping
from typing import Any

__all__ = [
    "MISSING",
    "Report",
    "Row",
    "Rows",
    "disturbed",
    "machine",
    "measured",
    "middle",
    "not_measured",
    "number",
    "prose",
    "ratio",
    "spliced",
]

BEGIN, END = "<!-- begin performance -->\n", "<!-- end performance -->"
MISSING = "–"
_QUIET = 0.05  # of the processor, that others may take unmentioned
Report = Mapping[str, Any]
Row = Mapping[str, Any]
Rows = Mapping[str, Row]


def spliced(text: str, part: str) -> str:
    """A page of docs with its generated part replaced, or put at its end."""
    if BEGIN in text and END in text:
        before, rest = text.split(BEGIN, 1)
        return before + BEGIN + part + END + rest.split(END, 1)[1]
    return f"{text.rstrip()}\n\n{BEGIN}{part}{END}\n".lstrip()


def prose(text: str) -> str:
    """A paragraph in lines of 100."""
    words = " ".join(text.split())
    return textwrap.fill(words, 100, break_long_words=False, break_on_hyphens=False)


def number(value: float | None, scale: float = 1.0) -> str:
    """Three digits, or a dash."""
    if value is None:
        return MISSING
    value *= scale
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:,.{places}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def ratio(of: float | None, to: float | None, places: int | None = None) -> str:
    """How many times as large; three digits, or so many behind the point."""
    if not (of and to):
        return MISSING
    return f"{number(of / to) if places is None else f'{of / to:.{places}f}'}×"


def middle(row: Row | None, name: str) -> float | None:
    """The median of a row's measurements."""
    values = (row or {}).get("samples", {}).get(name)
    return statistics.median(values) if values else None


def measured(report: Report) -> Rows:
    """The rows that have results."""
    return {name: row for name, row in report["rows"].items() if "error" not in row}


def machine(report: Report) -> str:
    """The processor, the threads and the versions of what is installed."""
    return ", ".join(f"{k} {v}" for k, v in report["machine"].items() if v != "absent")


def disturbed(report: Report) -> str:
    """A warning when other processes took the processor meanwhile."""
    others = max((row.get("others", 0.0) for row in report["rows"].values()), default=0.0)
    if others < _QUIET:
        return ""
    return f""" Other processes took up to {others:.0%} of the processor while rows were measured:
        the figures are worse than this machine's, and ratios are rough."""


def not_measured(report: Report) -> str:
    """The rows that failed, and why."""
    failed = {name: row["error"] for name, row in report["rows"].items() if "error" in row}
    lines = [f"- {name}: {reason}" for name, reason in failed.items()]
    return "\n".join(["## Not measured\n", *lines]) if lines else ""
