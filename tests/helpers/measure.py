"""How far two arrays are apart."""

from __future__ import annotations

import numpy as np


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference over the largest wanted magnitude."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())
