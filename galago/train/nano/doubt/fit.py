"""From measured signals to a border: whitening, a logistic regression, and the whole curve."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.checkpoints.doubt import rounded
from galago.checkpoints.tensors import Float

Wide = NDArray[np.float64]
SHRINK = 0.1  # of the spread towards a ball: a few pictures a label tell it badly
RIDGE = 10.0  # on weights of signals of spread 1


@dataclass(frozen=True)
class Space:
    """See galago.checkpoints.doubt."""

    middle: Float
    whiten: Float
    centres: Float


def space_of(features: Float, labels: Sequence[str], keep: int) -> Space:
    """The space of what was taught, of features (n, D) and their labels.

    The `keep` largest directions of all, whitened by the spread within the labels.
    """
    middle = features.mean(axis=0)
    apart = (features - middle).astype(np.float64)
    _, vectors = np.linalg.eigh(apart.T @ apart)
    chosen = vectors[:, ::-1][:, :keep]  # (D, keep)
    placed = apart @ chosen
    by_label: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        by_label[label].append(row)
    centres = np.stack([placed[rows].mean(axis=0) for rows in by_label.values()])
    within = np.concatenate([placed[r] - placed[r].mean(axis=0) for r in by_label.values()])
    free = max(len(within) - len(by_label), 1)
    spread = within.T @ within / free
    spread += SHRINK * np.trace(spread) / keep * np.eye(keep)
    values, turned = np.linalg.eigh(spread)
    whiten = turned / np.sqrt(values)
    return Space(
        np.asarray(middle, np.float32),
        rounded("whiten", chosen @ whiten),
        rounded("centres", centres @ whiten),
    )


def balanced(origins: Sequence[str], right: NDArray[np.bool_]) -> Wide:
    """Weights of examples: each origin counts by the square root of how many it has, and right ones
    together as much as the others together."""
    weights = np.zeros(len(origins))
    counts = Counter(origins)
    for row, origin in enumerate(origins):
        weights[row] = counts[origin] ** -0.5
    for outcome in (True, False):
        weights[right == outcome] /= weights[right == outcome].sum()
    return weights * len(weights) / 2


def regression(
    signals: Wide, right: NDArray[np.bool_], counted: Wide, ridge: float = RIDGE
) -> tuple[Wide, float]:
    """Weights and bias of a logistic regression of weighted examples, by Newton's method.

    `ridge` is on the weights of signals of spread 1.
    """
    mean, spread = signals.mean(axis=0), signals.std(axis=0) + 1e-6
    scaled = np.column_stack([(signals - mean) / spread, np.ones(len(signals))])
    penalty = np.full(scaled.shape[1], ridge)
    penalty[-1] = 0.0
    found = np.zeros(scaled.shape[1])
    for _ in range(50):
        guess = 1 / (1 + np.exp(-np.clip(scaled @ found, -30, 30)))
        slope = scaled.T @ (counted * (guess - right)) + penalty * found
        curve = (scaled * (counted * guess * (1 - guess))[:, None]).T @ scaled + np.diag(penalty)
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(found)), slope)
        found = found - step
        if np.abs(step).max() < 1e-8:
            break
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ mean)


def fold_of(group: str, folds: int) -> int:
    """Which of so many parts a group belongs to, the same on every machine."""
    return zlib.crc32(group.encode()) % folds


@dataclass(frozen=True)
class Point:
    """A border, and what it costs: the share of unknown things that are answered without doubt,
    and of right answers that are doubted."""

    border: float
    undoubted: float
    doubted: float


def curve(unknown: Sequence[float], right: Sequence[float], shares: Sequence[float]) -> list[Point]:
    """For each share of unknown things without doubt, the border that gives it."""
    return [point_at(border_at(unknown, share), unknown, right) for share in shares]


def border_at(unknown: Sequence[float], share: float, weights: Wide | None = None) -> float:
    """What `share` of the unknown things, by weight, are at least as probable as."""
    values = np.asarray(unknown, np.float64)
    if weights is None:
        return float(np.quantile(values, 1 - share))
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, (1 - share) * summed[-1])])


def point_at(border: float, unknown: Sequence[float], right: Sequence[float]) -> Point:
    return Point(
        border,
        float((np.asarray(unknown) >= border).mean()) if len(unknown) else float("nan"),
        float((np.asarray(right) < border).mean()) if len(right) else float("nan"),
    )
