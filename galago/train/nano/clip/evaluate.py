"""Held-out figures of a published two-tower folder, by the very code that users run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import Progress

from galago.clip.mobileclip import MobileCLIP
from galago.train.nano.data.captions import load_synonyms
from galago.train.nano.data.tasks import Tasks
from galago.train.nano.data.words import phrase

Figures = dict[str, dict[str, float | int]]


def evaluate_clip(
    folder: Path, tasks: Tasks, precision: str = "auto", out: Path | None = None
) -> Figures:
    """Zero-shot labels, and photographs found by words, over every held-out photograph; also
    written to clip-figures-<precision>.json in `out`, or beside `folder`."""
    clip = MobileCLIP.load(folder, precision=precision)
    truth = [photo.info["label"] for photo in tasks.objects]
    with Progress() as bar:
        task = bar.add_task("pictures", total=len(truth))
        rows = clip.embed_images(
            _pictures(tasks), 16, lambda done: bar.update(task, completed=done)
        )
    by_label = {label: {label} for label in tasks.labels if label in set(truth)}
    unseen = {word: set(labels) for word, labels in load_synonyms().held_out.items()}
    asked = [f"a photo of {phrase(label)}." for label in by_label]
    figures: Figures = {
        "zero_shot": zero_shot(rows, clip.embed_labels(tasks.labels), tasks, truth),
        "recall": recall(rows, clip.embed_texts(asked), truth, by_label),
        "recall_unseen": recall(
            rows, clip.embed_texts([f"a photo of a {word}." for word in unseen]), truth, unseen
        ),
    }
    place = (out or folder.parent) / f"clip-figures-{precision}.json"
    place.write_text(json.dumps(figures, indent=1))
    return figures


def _pictures(tasks: Tasks) -> Iterator[Image.Image]:
    return (tasks.store.picture(photo) for photo in tasks.objects)


def zero_shot(
    rows: np.ndarray, names: np.ndarray, tasks: Tasks, truth: Sequence[str]
) -> dict[str, float | int]:
    """Top-1 and top-5 over all labels, by source too; (n, dim) and (labels, dim) unit rows."""
    best = np.argsort(-(rows @ names.T), axis=1)[:, :5]
    wanted = np.array([tasks.label_index[label] for label in truth])
    first, five = best[:, 0] == wanted, (best == wanted[:, None]).any(1)
    sources = np.array([photo.info["source"] for photo in tasks.objects])
    figures: dict[str, float | int] = {
        "top1": _share(first),
        "top5": _share(five),
        "count": len(truth),
        "labels": len(names),
    }
    for source in sorted(set(sources)):
        here = sources == source
        figures |= {f"top1_{source}": _share(first[here]), f"count_{source}": int(here.sum())}
    return figures


def recall(
    rows: np.ndarray, queries: np.ndarray, truth: Sequence[str], right: Mapping[str, set[str]]
) -> dict[str, float | int]:
    """Share of the queries with a right picture among the first 1, 5 and 10, and the mean share of
    right pictures among the first 10 (or among as many as there are)."""
    figures: dict[str, Any] = {}
    order = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    hits = np.array(
        [
            [truth[i] in labels for i in found]
            for found, labels in zip(order, right.values(), strict=True)
        ]
    )
    for k in (1, 5, 10):
        figures[f"at{k}"] = _share(hits[:, :k].any(1))
    there = np.array([sum(label in labels for label in truth) for labels in right.values()])
    figures["precision10"] = round(float((hits.sum(1) / np.minimum(there, 10)).mean()), 4)
    return figures | {"queries": len(right), "album": len(truth)}


def _share(right: Any) -> float:
    return round(float(np.mean(right)), 4)
