"""Held-out figures of a published folder, by the very code that users run.

Each task is asked with its preset and judged on the words that come out: text by character error
rate (white space folded), fingers, emoji and objects by the exact answer. Nothing here was trained
on: fonts, emoji design, recordings and photographs are the held-out ones of data/assets.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.progress import track

from galago.text.edits import character_errors
from galago.train.nano.data.tasks import Tasks
from galago.train.nano.vlm import held_out
from galago.train.nano.vlm.held_out import NOTES, Question
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

OPTIONS = SamplingOptions(max_tokens=96)
Figures = dict[str, float | int]


def read(vlm: FastVLM, questions: Iterable[Question]) -> Figures:
    """Letters that are wrong, of those that are there."""
    wrong: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    exact = count = 0
    for one in questions:
        errors, length = character_errors(one.truth, vlm.ask(one.picture, one.prompt, OPTIONS))
        for key in ("all", *one.groups):
            wrong[key] += errors
            letters[key] += length
        exact += not errors
        count += 1
    figures: Figures = {f"cer_{key}": round(wrong[key] / letters[key], 4) for key in letters}
    return figures | {"exact": round(exact / count, 4), "count": count, "letters": letters["all"]}


def name(vlm: FastVLM, questions: Iterable[Question]) -> Figures:
    """Answers that are right to the letter, but for case and a final full stop."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for one in questions:
        said = vlm.ask(one.picture, one.prompt, OPTIONS).strip(" .").lower()
        for key in ("all", *one.groups):
            seen[key] += 1
            right[key] += said == one.truth
    figures: Figures = {key: round(right[key] / seen[key], 4) for key in seen}
    return figures | {f"count_{key}": seen[key] for key in seen}


def evaluate(
    folder: Path,
    tasks: Tasks,
    seed: int,
    precision: str = "auto",
    notes: int = NOTES,
    out: Path | None = None,
) -> dict[str, Figures]:
    """All four tasks; also written to figures-<precision>.json in `out`, or beside `folder`."""
    vlm = FastVLM.load(folder, precision=precision)
    figures = {
        "text": read(vlm, track(held_out.notes(tasks, notes, seed), "text", notes)),
        "fingers": name(vlm, track(list(held_out.fingers(tasks)), "fingers")),
        "emoji": name(vlm, track(list(held_out.emoji(tasks, seed)), "emoji")),
        "objects": name(vlm, track(held_out.objects(tasks), "objects", len(tasks.objects))),
    }
    ((out or folder.parent) / f"figures-{precision}.json").write_text(json.dumps(figures, indent=1))
    return figures
