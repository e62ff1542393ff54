"""Figures found here beside the published ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from galago.evaluate.clip.published import Published
from galago.evaluate.clip.score import Score
from galago.evaluate.clip.sets import ALL, DATACOMP

__all__ = ["Mean", "mean_of_datacomp", "mean_sentence", "published_of", "sentence"]

_NAMES = {one.name for one in DATACOMP}


@dataclass(frozen=True)
class Mean:
    """Of `sets` of DataComp's 38, each with the same weight; half: of its 95 % interval."""

    value: float
    half: float
    sets: int


def published_of(score: Score, row: Published | None) -> float | None:
    """The published figure of the same benchmark, 0 to 1."""
    return row.imagenet / 100 if row and score.name == "imagenet1k" else None


def mean_of_datacomp(scores: Sequence[Score]) -> Mean | None:
    """None of fewer than two sets."""
    counted = [one.figure for one in scores if one.name in _NAMES]
    if len(counted) < 2:
        return None
    # Sets are drawn independently of each other: variances add up.
    half = math.sqrt(sum(((one.high - one.low) / 2) ** 2 for one in counted)) / len(counted)
    return Mean(sum(one.mean for one in counted) / len(counted), half, len(counted))


def sentence(score: Score, row: Published | None) -> str | None:
    """ "imagenet1k: published 71.5, here 71.3 ± 0.4 on 50,000"; None without a published figure."""
    theirs = published_of(score, row)
    if row is None or theirs is None:
        return None
    ours = score.figure
    half = max(ours.high - ours.mean, ours.mean - ours.low)
    inside = "inside" if ours.low <= theirs <= ours.high else "outside"
    return (
        f"{score.name}: published {100 * theirs:.1f} ({row.source}), here {100 * ours.mean:.1f} ± "
        f"{100 * half:.1f} on {ours.count:,}: {inside} the interval"
    )


def mean_sentence(mean: Mean, row: Published | None) -> str:
    """The mean, over how many of the 38 it goes, and the published one, which goes over all."""
    ours = (
        f"mean of {mean.sets} of DataComp's {ALL}: {100 * mean.value:.1f} ± {100 * mean.half:.1f}"
    )
    if row is None:
        return ours
    return f"{ours}; published, of all {ALL}: {row.mean_38:.1f}"
