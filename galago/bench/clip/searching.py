"""Searching an album of random vectors: one that stays open, and `galago search` from its start.

The files are in the page cache, as after the first search of a day.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galago.album.ranking import Part
from galago.album.search import Searcher
from galago.album.store import Store, write_lock
from galago.album.write import Photo, Writer, begin
from galago.bench.clip.towers import words
from galago.clip.mobileclip import MobileCLIP, unit
from galago.errors import GalagoError
from galago.memory import peak_memory

__all__ = ["cold", "fill", "warm"]

Options = Mapping[str, Any]
AT_ONCE = 20_000  # rows made in one go
ASKED = 31  # queries; the first three warm up
HITS = 12
QUERY = "a dog on a beach"


def fill(options: Options) -> dict[str, Any]:
    """An album of `count` photos that are empty files: the preparation of both rows.

    It is as indexing leaves it, but written without any pictures: a million take minutes.
    """
    folder, count = _album(options), options["count"]
    filled = folder / "filled"  # written last
    if filled.exists():
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    clip = MobileCLIP.load(options["model"], threads=options["threads"], offline=True)
    rng = np.random.default_rng(count)
    middle = rng.standard_normal(clip.dim, dtype=np.float32)  # real vectors have one, too
    photos_at = folder.with_name(f"{folder.name}-photos")
    for number in range(min(count, 1000)):
        (photos_at / f"{number:03d}").mkdir(parents=True, exist_ok=True)
    with write_lock(folder), Store.open(folder, write=True) as store:
        begin(store, clip, options["model"])
        with Writer(store) as writer:
            for first in range(0, count, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, count))
                drawn = rng.standard_normal((len(numbers), clip.dim), dtype=np.float32)
                digests = [number.to_bytes(16, "little") for number in numbers]
                paths = [photos_at / f"{n % 1000:03d}" / f"IMG_{n:07d}.jpg" for n in numbers]
                for path in paths:
                    path.touch()
                photos = [
                    Photo(os.fsencode(path), 0, 0, digest)
                    for path, digest in zip(paths, digests, strict=True)
                ]
                writer.record(photos, digests, unit(middle + drawn))
    filled.touch()
    return {}


def warm(options: Options) -> dict[str, Any]:
    """Milliseconds for a vector, and for words through the model's text tower."""
    clip = MobileCLIP.load(options["model"], threads=options["threads"], offline=True)
    asked = words(options["texts"])
    drawn = np.random.default_rng(1).standard_normal((ASKED, clip.dim), dtype=np.float32)
    vectors = unit(drawn)
    with Searcher(_album(options)) as searcher:

        def by_vector(turn: int) -> int:
            return len(searcher.search([Part(vectors[turn])], HITS))

        def by_words(turn: int) -> int:
            vector = clip.embed_texts([asked[turn % len(asked)]])[0]
            return len(searcher.search([Part(vector)], HITS))

        scan, worded = _times(by_vector), _times(by_words)
    samples = {"vector_ms": scan, "vector_worst_ms": [max(scan)], "words_ms": worded}
    return {"peak_bytes": peak_memory(), "samples": samples}


def _times(search: Callable[[int], int]) -> list[float]:
    times = []
    for turn in range(ASKED):
        start = time.perf_counter()
        found = search(turn)
        times.append(1000 * (time.perf_counter() - start))
        if found != HITS:
            raise GalagoError(f"{found} photos were found instead of {HITS}")
    return times[3:]


def cold(options: Options) -> dict[str, Any]:
    """Seconds from the start of the process to its end, the answer printed; the first warms up."""
    folder = _album(options)
    environment = os.environ | {"GALAGO_ALBUMS": str(folder.parent)}
    command = [sys.executable, "-m", "galago", "search", QUERY, "--album", folder.name]
    command += ["--threads", str(options["threads"]), "--json", "--offline"]
    command += ["--all"]  # nothing matches among random vectors
    times = []
    for _ in range(options["runs"] + 1):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        times.append(time.perf_counter() - start)
        if done.returncode or "IMG_" not in done.stdout:
            raise GalagoError(f"galago search failed: {done.stderr.strip()[-300:]}")
    return {
        "disk_bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "peak_bytes": _peak_of_children(),
        "samples": {"seconds": times[1:], "worst": [max(times[1:])]},
    }


def _album(options: Options) -> Path:
    return Path(options["albums"]) / str(options["count"])


def _peak_of_children() -> int:
    """The most bytes that one of the processes started here has held; 0 on Windows."""
    if os.name == "nt":  # has no resource module
        return 0
    import resource

    # On Linux ru_maxrss counts kilobytes, on macOS bytes.
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
