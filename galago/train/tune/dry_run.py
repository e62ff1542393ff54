"""A few rows as the model will see them: their squares, what it reads, what it learns to say."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galago.specs import ImageSpec
from galago.text.chat import IM_END, IM_START
from galago.train.tune.data import Part
from galago.train.tune.labels import IGNORED, Example, Labeller

__all__ = ["SHOWN", "Shown", "Span", "contact_sheet", "dry_run", "stand_apart"]

SHOWN = 3  # rows
_GAP = 16  # pixels between the squares of a sheet
_MOST = 2048  # pixels of a sheet's edge


@dataclass(frozen=True)
class Span:
    """A stretch of what the model reads: text, or a picture's tokens (`text` says how many)."""

    text: str
    learnt: bool = False
    picture: bool = False


@dataclass(frozen=True, eq=False)
class Shown:
    """A row as the model sees it.

    squares: uint8 (side, side, 3) each, as the vision tower gets them before values are scaled.
    spans: all that is read, in order, control tokens by their names.  positions, learnt: how many
    tokens that is, and how many of them are learnt; cut: of answers, that were left out.
    """

    where: str
    squares: tuple[NDArray[np.uint8], ...]
    spans: tuple[Span, ...]
    positions: int
    learnt: int
    cut: int


def dry_run(rows: Part, labeller: Labeller, spec: ImageSpec, count: int = SHOWN) -> list[Shown]:
    """Rows from the beginning, the middle and the end, unless there are fewer.

    Raises RowError and ImageError as training would.
    """
    several = min(count, len(rows))
    found = []
    for number in range(several):
        row = rows[number * (len(rows) - 1) // max(1, several - 1)]
        example = labeller(row)
        squares = tuple(photo.square(spec) for photo in row.pictures)
        spans = tuple(_spans(example, labeller))
        counts = len(example.ids), example.learnt, example.cut
        found.append(Shown(row.where, squares, spans, *counts))
    return found


def _spans(example: Example, labeller: Labeller) -> Iterator[Span]:
    """Made of the ids and labels that training gets, and of nothing else."""
    controls = {labeller.tokenizer.token_id(name): name for name in (IM_START, IM_END)}
    pictures = example.of_images
    begun = {start: number for number, start in enumerate(example.starts, 1)}
    learnt = example.labels != IGNORED

    def kind(at: int) -> tuple[bool, bool, bool]:
        return bool(pictures[at]), bool(learnt[at]), int(example.ids[at]) in controls

    for (picture, taught, control), places in groupby(range(len(example.ids)), kind):
        if picture:
            for at in places:
                if at in begun:
                    yield Span(f"[picture {begun[at]}: {example.per_image} tokens]", picture=True)
            continue
        ids = [int(example.ids[at]) for at in places]
        if control:
            yield Span("".join(controls[one] for one in ids), taught)
        else:
            yield Span(labeller.tokenizer.decode(ids), taught)


def contact_sheet(shown: Sequence[Shown]) -> bytes | None:
    """A PNG: rows side by side, the squares of one under each other; None without pictures."""
    rows = [one.squares for one in shown if one.squares]
    if not rows:
        return None
    step = len(rows[0][0]) + _GAP
    size = len(rows) * step + _GAP, max(map(len, rows)) * step + _GAP
    sheet = Image.new("RGB", size, "white")
    for column, squares in enumerate(rows):
        for line, square in enumerate(squares):
            sheet.paste(Image.fromarray(square), (_GAP + column * step, _GAP + line * step))
    sheet.thumbnail((_MOST, _MOST))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def stand_apart(spans: Sequence[Span]) -> str:
    """What is read, for where there are no colours: learnt stretches stand in {+ and +}, as
    `git diff --word-diff` writes what is new."""
    parts = []
    for taught, several in groupby(spans, lambda span: span.learnt):
        text = "".join(span.text for span in several)
        parts.append(f"{{+{text}+}}" if taught else text)
    return "".join(parts)
