"""Random changes to JSON, as a damaged or hostile configuration has them."""

from __future__ import annotations

import random
from typing import Any

LEAVES = [0, -1, 1, 10**9, 2**70, 0.5, 1e300, True, None, "x", "", [], {}, [1, 2], {"a": 1},
          float("nan"), float("inf"), "\ud800", ["x"] * 3]  # fmt: skip


def change(value: Any, draw: random.Random) -> None:
    """Something else, or nothing, in the place of one part."""
    while True:
        key = draw.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if isinstance(inner, (dict, list)) and inner and draw.random() < 0.85:
            value = inner
            continue
        if isinstance(value, dict) and draw.random() < 0.1:
            value[f"{key}x"] = value.pop(key)
        elif draw.random() < 0.1:
            del value[key]
        else:
            value[key] = draw.choice(LEAVES)
        return
