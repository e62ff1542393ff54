"""A folder of photos into an album, as `galago index` does it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.album.indexing import IndexOptions, index
from galago.clip.mobileclip import MobileCLIP
from galago.errors import ImageError
from galago.memory import peak_memory
from galago.progress import Stage

__all__ = ["galago"]


def galago(options: Mapping[str, Any]) -> dict[str, Any]:
    """Loading, walking, hashing, decoding in threads, encoding, recording each batch durably.

    steady_per_second leaves out what comes once: calibrating a new album, and the first batch;
    again is the seconds of a second run, which finds that nothing has changed.
    Raises ImageError when a photo could not be read.
    """
    model, photos = options["model"], Path(options["photos"])
    chosen = IndexOptions(batch=options["pictures"])
    told: list[tuple[float, int, int]] = []

    def hear(stage: Stage, done: int, total: int) -> None:
        told.append((time.perf_counter(), done, total))

    # Beside the photos: what a batch costs to record is a matter of the disk.
    with tempfile.TemporaryDirectory(dir=photos.parent) as scratch:
        album = Path(scratch) / "album"
        started = time.perf_counter()
        clip = MobileCLIP.load(model, threads=options["threads"], offline=True)
        summary = index(album, [photos], lambda: clip, source=model, options=chosen, report=hear)
        seconds = time.perf_counter() - started
        if summary.failed:
            raise ImageError(": ".join(summary.failed[0]))
        once_more = time.perf_counter()
        index(album, [photos], lambda: clip, source=model, options=chosen)
        again = time.perf_counter() - once_more
        disk = sum(path.stat().st_size for path in album.iterdir())
    calibrating, steady = _parts(told)
    samples = {
        "seconds": [seconds],
        "pictures_per_second": [summary.encoded / seconds],
        "steady_per_second": steady,
        "calibrating": [calibrating],
        "again": [again],
    }
    facts = {"photos": summary.encoded, "precision": clip.precision, "disk_bytes": disk}
    return facts | {"peak_bytes": peak_memory(), "samples": samples}


def _parts(told: list[tuple[float, int, int]]) -> tuple[float, list[float]]:
    """Seconds of calibrating, and photos a second behind the first batch, if there are more.

    Only while photos are encoded their number is known; just before, the album was calibrated.
    """
    first = next(place for place, (_, _, total) in enumerate(told) if total)
    calibrating = told[first][0] - told[first - 1][0]
    (began, before, _), (ended, done, _) = told[first + 1], told[-1]
    return calibrating, [(done - before) / (ended - began)] if done > before else []
