"""Whether a model's doubt is right: how often it is right where it is sure, and where it isn't."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from galago.evaluate.intervals import wilson

__all__ = ["Bin", "Calibration", "Share", "calibration"]

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers whose probability lies from `low` to `high`: how many, its mean, and how many of them
    are right."""

    low: float
    high: float
    count: int
    mean: float
    right: float


@dataclass(frozen=True)
class Share:
    """Of `count` answers the share that is right, with Wilson's 95 % interval."""

    count: int
    right: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """by: "known", the probability of being right that was measured for the model (docs/doubt.md),
    or "confidence", its own.  ece: the expected calibration error, the mean distance of a bin's
    probability from its share of right answers (https://arxiv.org/abs/1706.04599).  sure, unsure:
    answers without and with doubt; None of a model whose doubt was never measured, or where there
    are none."""

    by: str
    ece: float
    bins: tuple[Bin, ...]
    sure: Share | None
    unsure: Share | None


def calibration(
    known: Sequence[float | None],
    confidence: Sequence[float],
    doubted: Sequence[bool],
    right: Sequence[bool],
) -> Calibration:
    """Of at least one answer; all sequences are in the same order."""
    measured = [one for one in known if one is not None]
    by_known = len(measured) == len(right)
    values = measured if by_known else list(confidence)
    bins = tuple(_bins(values, right))
    ece = sum(one.count * abs(one.mean - one.right) for one in bins) / len(right)
    if not by_known:
        return Calibration("confidence", ece, bins, None, None)
    sure = _share([r for r, unsure in zip(right, doubted, strict=True) if not unsure])
    unsure = _share([r for r, unsure in zip(right, doubted, strict=True) if unsure])
    return Calibration("known", ece, bins, sure, unsure)


def _bins(values: Sequence[float], right: Sequence[bool]) -> list[Bin]:
    """Ten of equal width, without empty ones; 1 belongs to the last."""
    held: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for value, one in zip(values, right, strict=True):
        held[min(int(value * BINS), BINS - 1)].append((value, one))
    return [
        Bin(
            at / BINS,
            (at + 1) / BINS,
            len(some),
            sum(value for value, _ in some) / len(some),
            sum(one for _, one in some) / len(some),
        )
        for at, some in enumerate(held)
        if some
    ]


def _share(right: Sequence[bool]) -> Share | None:
    if not right:
        return None
    return Share(len(right), sum(right) / len(right), *wilson(sum(right), len(right)))
