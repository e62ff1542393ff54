"""Held-out figures of a published folder, by the very code that users run.

Each task is asked with its preset and judged on the words that come out: text by character error
rate (white space folded), fingers, emoji and objects by the exact answer. Nothing here was trained
on: fonts, emoji design, recordings and photographs are the held-out ones of data/assets.py.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from galago.text.presets import PRESETS
from galago.train.nano.data.assets import HELD_OUT_FONTS, emoji_label
from galago.train.nano.data.tasks import Tasks
from galago.train.nano.data.words import phrase
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

OPTIONS = SamplingOptions(max_tokens=96)
Figures = dict[str, float | int]


def edit_distance(a: str, b: str) -> int:
    """Levenshtein's: insertions, deletions and substitutions that turn `a` into `b`."""
    row = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        cost = row[:-1] + np.array([x != y for y in b], dtype=int)
        best = np.minimum(cost, row[1:] + 1)
        row[0] = i
        for j, value in enumerate(best):
            row[j + 1] = min(int(value), int(row[j]) + 1)
    return int(row[-1])


def read_notes(vlm: FastVLM, tasks: Tasks, count: int, seed: int) -> Figures:
    """1–4 words on 1–4 lines in fonts never seen, on plain paper or photographs."""
    wrong: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    exact = 0
    rng = random.Random(f"{seed}-read")
    for _ in track(range(count), description="text"):
        drawn = tasks.sample("note", rng, 384).cells
        assert drawn is not None  # text samples carry their rendering
        said = vlm.ask(drawn.picture, PRESETS["read"], OPTIONS)
        truth, said = " ".join(drawn.text.split()), " ".join(said.split())
        errors = edit_distance(truth, said)
        hand = any(name in drawn.font for name in HELD_OUT_FONTS[:3])
        for key in ("all", "hand" if hand else "print"):
            wrong[key] += errors
            letters[key] += len(truth)
        exact += said == truth
    figures: Figures = {f"cer_{key}": round(wrong[key] / letters[key], 4) for key in letters}
    return figures | {"exact": round(exact / count, 4), "count": count, "letters": letters["all"]}


def count_fingers(vlm: FastVLM, tasks: Tasks) -> Figures:
    """Every held-out picture of a hand, by source; 0 is a fist or no hand."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    photos = [p for photos in tasks.hands.values() for p in photos]
    for photo in track(photos, description="fingers"):
        said = vlm.ask(tasks.store.picture(photo), PRESETS["count"], OPTIONS).strip(" .")
        for key in ("all", photo.info["source"], f"n{photo.info['fingers']}"):
            seen[key] += 1
            right[key] += said == str(photo.info["fingers"])
    return _shares(right, seen)


def name_emoji(vlm: FastVLM, tasks: Tasks, seed: int) -> Figures:
    """The design never seen, each emoji once large on white, once smaller on a colour."""
    pictures, names, chosen, spelled = tasks.emoji
    rng = random.Random(f"{seed}-emoji")
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for row in track(chosen, description="emoji"):
        icon = Image.fromarray(pictures[row])
        truth = phrase(emoji_label(spelled[int(names[row])])).lower()
        for key in ("white", "colour"):
            page = Image.new("RGB", (256, 256), "white")
            size = 230
            if key == "colour":
                page = Image.new("RGB", (256, 256), tuple(rng.randint(60, 255) for _ in range(3)))
                size = rng.randint(140, 220)
            drawn = icon.resize((size, size))
            at = ((256 - size) // 2, (256 - size) // 2)
            page.paste(drawn, at, drawn)
            said = vlm.ask(page, PRESETS["brief"], OPTIONS).strip(" .").lower()
            for name in ("all", key):
                seen[name] += 1
                right[name] += said == truth
    return _shares(right, seen)


def name_objects(vlm: FastVLM, tasks: Tasks) -> Figures:
    """Every held-out photograph of the `photos-*` shards; the whole label must be right."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for photo in track(tasks.objects, description="objects"):
        said = vlm.ask(tasks.store.picture(photo), PRESETS["brief"], OPTIONS).strip(" .").lower()
        truth = phrase(photo.info["label"])
        for key in ("all", photo.info["source"]):
            seen[key] += 1
            right[key] += said == truth
    return _shares(right, seen)


def _shares(right: Counter[str], seen: Counter[str]) -> Figures:
    figures: Figures = {key: round(right[key] / seen[key], 4) for key in seen}
    return figures | {f"count_{key}": seen[key] for key in seen}


def evaluate(
    folder: Path,
    tasks: Tasks,
    seed: int,
    precision: str = "auto",
    notes: int = 500,
    out: Path | None = None,
) -> dict[str, Figures]:
    """All four tasks; also written to figures-<precision>.json in `out`, or beside `folder`."""
    vlm = FastVLM.load(folder, precision=precision)
    figures = {
        "text": read_notes(vlm, tasks, notes, seed),
        "fingers": count_fingers(vlm, tasks),
        "emoji": name_emoji(vlm, tasks, seed),
        "objects": name_objects(vlm, tasks),
    }
    ((out or folder.parent) / f"figures-{precision}.json").write_text(json.dumps(figures, indent=1))
    return figures
