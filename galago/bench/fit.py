"""How a cost grows: least squares on the medians of a curve."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["exponent", "line", "medians"]

Points = Sequence[tuple[float, float]]


def medians(points: Mapping[str, Sequence[float]]) -> list[tuple[float, float]]:
    """(size, median), by size; sizes without a measurement are left out."""
    found = [(float(size), statistics.median(values)) for size, values in points.items() if values]
    return sorted(found)


def exponent(points: Points) -> float:
    """p of cost = c * size^p, fitted to the logarithms."""
    sizes, costs = np.log(np.asarray(points, np.float64)).T
    return float(np.polyfit(sizes, costs, 1)[0])


def line(points: Points) -> tuple[float, float]:
    """(fixed, each) of cost = fixed + each * size."""
    sizes, costs = np.asarray(points, np.float64).T
    each, fixed = np.polyfit(sizes, costs, 1)
    return float(fixed), float(each)
