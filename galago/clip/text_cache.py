"""Vectors of texts that are asked for again and again, kept in galago's cache.

A new album is calibrated with some hundred phrases (galago/album/match.py), which take longer than
a hundred photos and are the same for every album of a model. A file is named after all that its
vectors depend on, so that none can be stale; what can't be read is made again, what can't be
written is done without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from galago.checkpoints.tensors import Float
from galago.disk import keep_newest, whole_file
from galago.errors import StorageError
from galago.places import cache_dir

__all__ = ["remembered"]

_KEPT = 16  # files; those not used for longest go first


def remembered(
    made_by: Sequence[str], texts: Sequence[str], dim: int, make: Callable[[], Float]
) -> Float:
    """What `make` gives, rows float32 (len(texts), dim); from the cache when it was made before.

    `made_by`: what the vectors depend on beside the texts.
    """
    content = json.dumps([list(made_by), list(texts)]).encode()
    try:
        folder = cache_dir() / "phrases"
    except StorageError:  # there is no cache
        return make()
    path = folder / f"{hashlib.blake2b(content, digest_size=16).hexdigest()}.npy"
    rows = _read(path, (len(texts), dim))
    if rows is None:
        rows = make()
        with contextlib.suppress(OSError):
            _write(path, rows)
    return rows


def _read(path: Path, shape: tuple[int, int]) -> Float | None:
    """None for what is missing, damaged or of another shape."""
    try:
        rows = np.load(path, allow_pickle=False)
        if rows.shape != shape or rows.dtype != np.float32 or not np.isfinite(rows).all():
            return None
        with contextlib.suppress(OSError):  # a cache that can't be written can still be read
            os.utime(path)
    except Exception:  # numpy lets through whatever its parsers of headers and archives raise
        return None
    return np.asarray(rows)


def _write(path: Path, rows: Float) -> None:
    """Whole or not at all, and the oldest make room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.save(file, rows)
    keep_newest(path.parent, "*.npy", _KEPT)
