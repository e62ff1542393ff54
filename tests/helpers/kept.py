"""A cache of galago's with something of every kind in it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from galago.convert.folder import FORMAT
from galago.engine.precision import PrecisionPlan

__all__ = ["fill_cache"]

_LONG_AGO = 1_600_000_000


def fill_cache(cache: Path, source: Path) -> None:
    """Two conversions (of the folder `source`, and of a hub's model that is gone), a damaged one, a
    download that isn't whole, what was left by a process that was killed and by one that runs, and
    what is remembered."""
    _conversion(cache / "converted" / "mine-0-int8-f1", {"name": "mine", "path": str(source)})
    gone = {"name": "apple/FastVLM-1.5B", "revision": "0"}
    _conversion(cache / "converted" / "apple--FastVLM-1.5B-0-int8-f1", gone)
    for path in (
        *("converted/damaged-0-int8-f1/language.safetensors", "converted/.old-0.part/a"),
        *("converted/.young-0.part/a", "sources/apple--FastVLM-0.5B/1/model.safetensors.part"),
        *("graphs/a.graph", "graphs/.b.graph.0.part", "phrases/a.npy", "bench/rows.jsonl"),
        "locks/mine.lock",
    ):
        (cache / path).parent.mkdir(parents=True, exist_ok=True)
        (cache / path).write_bytes(bytes(1000))
    os.utime(cache / "converted" / ".old-0.part", (_LONG_AGO, _LONG_AGO))


def _conversion(folder: Path, source: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    plan = asdict(PrecisionPlan("bf16", "int8"))
    manifest = {"format": FORMAT, "precision": plan, "source": source}
    (folder / "galago.json").write_text(json.dumps(manifest))
