"""Which picture each question of a data set is about.

A program of its own, for the Python that has `datasets`, in the folder with the data; it knows
nothing of galago:

    python -I pictures.py DATA CONFIG SPLIT COLUMN
"""

from __future__ import annotations

import json
import sys
from hashlib import blake2b
from typing import Any

__all__ = ["pictures"]

_AT_ONCE = 64  # rows in memory


def pictures(data: str, config: str, split: str, column: str) -> list[str]:
    """A name for the picture of each question, in their order: what a column says, bytes by their
    digest."""
    from datasets import load_dataset

    rows = load_dataset(data, config, split=split).select_columns([column])
    found: list[str] = []
    for part in rows.with_format("arrow").iter(_AT_ONCE):  # pictures stay the bytes that they are
        found += [_name(value) for value in part.column(0).to_pylist()]
    return found


def _name(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return blake2b(value, digest_size=8).hexdigest()
    return " ".join(map(_name, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    json.dump(pictures(*sys.argv[1:5]), sys.stdout)
