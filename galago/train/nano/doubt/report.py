"""The curve of doubt as figures and as a table for the model's card and the docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from galago.train.nano.doubt.fit import Point

TITLE = "## What it doubts"
TARGET = 0.10  # of unknown things answered without doubt
SHARES = (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.30, 0.50)  # of the curve


@dataclass(frozen=True)
class Curve:
    """What was measured of one task with pictures, or words, that nothing was fitted with.

    `at_border`: the border that the model has, with counts behind its shares; `sources`: of unknown
    things by their source, the share answered without doubt and their count; `tasks`: of known
    things by kind, the share of right answers doubted, of wrong ones doubted, and both counts.
    """

    task: str
    unknown: int
    right: int
    wrong: int
    at_border: Point
    wrong_doubted: float
    points: Sequence[Point]
    before: Sequence[Point] = ()
    sources: dict[str, tuple[float, int]] = field(default_factory=dict)
    tasks: dict[str, tuple[float, int, float, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """All of a model, and how they came about."""

    model: str
    seed: int
    fitted: dict[str, int]
    measured: dict[str, int]
    curves: Sequence[Curve]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def table(figures: Figures) -> str:
    """Markdown: how it was measured; for each task the whole curve, and what the border costs."""
    lines = [
        f"Measured by `python -m galago.train.nano.doubt`, seed {figures.seed}; what was measured",
        f"with was not fitted with. Fitted: {_counts(figures.fitted)}.",
        f"Measured: {_counts(figures.measured)}.",
        "",
    ]
    for curve in figures.curves:
        lines += _curve(curve)
    return "\n".join(lines)


def _curve(curve: Curve) -> list[str]:
    at = curve.at_border
    told = []
    if curve.unknown:
        given = f"{_share(at.undoubted)} of {curve.unknown:,} answers about unknown things"
        told += [f"{given} are given without doubt"]
    told += [f"{_share(at.doubted)} of {curve.right:,} right answers are doubted"]
    if curve.wrong:
        told += [f"of {curve.wrong:,} wrong ones about known things {_share(curve.wrong_doubted)}"]
    lines = [f"**{curve.task}**: {'; '.join(told)}.", ""]
    if curve.points:
        lines += [_row("unknown, without doubt", [_share(share, 0) for share in SHARES])]
        lines += ["|---" * (len(SHARES) + 1) + "|"]
        lines += [_row("right, but doubted", [_share(point.doubted) for point in curve.points])]
    if curve.before:
        shares = [_share(point.doubted) for point in curve.before]
        lines += [_row("by the answer's probability alone", shares)]
    lines += [""] if curve.points else []
    if curve.sources:
        lines += ["| unknown things | without doubt | count |", "|---|---|---|"]
        for name, (share, count) in curve.sources.items():
            lines += [_row(name, [_share(share), f"{count:,}"])]
        lines += [""]
    if curve.tasks:
        lines += ["| known things | right, doubted | wrong, doubted |", "|---|---|---|"]
        for name, (right, rights, wrong, wrongs) in curve.tasks.items():
            counted = [f"{_share(right)} of {rights:,}", f"{_share(wrong)} of {wrongs:,}"]
            lines += [_row(name, counted)]
        lines += [""]
    return lines


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def into_card(card: Path, text: str, title: str = TITLE) -> None:
    """Put the table into a card, in the place of an older one or before its last part."""
    if not card.is_file():
        return
    told = card.read_text("utf-8")
    head, _, rest = told.partition(f"{title}\n")
    if rest:
        _, found, after = rest.partition("\n## ")
        after = f"## {after}" if found else ""
    else:
        head, found, after = told.rpartition("\n## ")
        head, after = f"{head}\n", f"## {after}"
    card.write_text(f"{head}{title}\n\n{text}\n{after}", "utf-8")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _share(share: float, digits: int = 1) -> str:
    return "–" if share != share else f"{100 * share:.{digits}f} %"
