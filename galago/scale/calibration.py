"""Where a match begins in a table: how strong words get that none of its pictures show.

An album keeps that up to date as pictures come (galago/album/match.py).  A table has no place for
it, so all vectors are gone over once for each state of the table, and what comes out is kept in
galago's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Embedder
from galago.album.match import Background, phrases, reach
from galago.disk import whole_file
from galago.places import cache_dir
from galago.scale.reader import Reader

__all__ = ["Calibration", "background_of", "calibrate"]

Float = NDArray[np.float32]
_SAMPLE = 512  # pictures that stand for the whole table where its average is asked for
_FORMAT = 1


@dataclass(frozen=True)
class Calibration:
    """What words are judged by: `reach` (phrases,), and the mean of some pictures (dim,)."""

    reach: Float
    middle: Float


def background_of(model: Embedder) -> Background:
    """The everyday phrases, as numbers that an album keeps would be."""
    shown, absent = phrases()
    rows = model.embed_phrases([*shown, *absent]).astype(np.float16).astype(np.float32)
    return Background(rows[: len(shown)], rows[len(shown) :])


def calibrate(
    reader: Reader, background: Background, report: Callable[[int], None] = lambda rows: None
) -> Calibration:
    """As kept, else of all vectors; `report` hears how many were gone over.  StorageError."""
    path = _path(reader)
    kept = _kept(path, reader, background)
    if kept is not None:
        return kept
    reached = np.full(len(background.absent), -np.inf, np.float32)
    total, sampled, rows = np.zeros(reader.made.dim, np.float64), 0, 0
    step = max(1, reader.count() // _SAMPLE)
    for vectors in reader.vectors():
        floats = vectors.stored.astype(np.float32)
        reached = np.maximum(reached, reach(floats, background))
        some = floats[-rows % step :: step]
        total, sampled = total + some.sum(axis=0, dtype=np.float64), sampled + len(some)
        rows += len(floats)
        report(rows)
    found = Calibration(reached, np.asarray(total / max(sampled, 1), np.float32))
    _keep(path, reader, found)
    return found


def _path(reader: Reader) -> Path:
    name = hashlib.sha256(reader.place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_dir() / "tables" / f"{name}.json"


def _state(reader: Reader) -> list[object]:
    return [_FORMAT, reader.place, reader.version, reader.made.to_json()]


def _kept(path: Path, reader: Reader, background: Background) -> Calibration | None:
    """None for what is of another state, or isn't as it was written."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["of"] != json.loads(json.dumps(_state(reader))):
            return None
        reached = np.array(kept["reach"], np.float32)
        middle = np.array(kept["middle"], np.float32)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    shapes = (len(background.absent),), (reader.made.dim,)
    good = (reached.shape, middle.shape) == shapes and np.isfinite(middle).all()
    return Calibration(reached, middle) if good else None


def _keep(path: Path, reader: Reader, found: Calibration) -> None:
    """For the next search; where the cache can't be written it is gone over again."""
    if not np.isfinite(found.reach).all():  # a table without vectors: nothing to keep
        return
    record = {
        "of": _state(reader), "reach": found.reach.tolist(), "middle": found.middle.tolist(),
    }  # fmt: skip
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(record).encode())
