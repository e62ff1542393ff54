"""Rows of searching; each prints one JSON line.

fill   an album of random vectors
python -m galago.bench.clip.searching warm MODEL ALBUMS COUNT THREADS   an open album, asked again
python -m galago.bench.clip.searching cold MODEL ALBUMS COUNT THREADS   `galago search`, start to end

MODEL is a name or a folder. The files are in the page cache, as after the first search of a day.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galago.bench.clip.towers import words
from galago.memory import peak_memory

AT_ONCE = 20_000  # rows made in one go
ASKED = 31  # warm queries; the first three warm up
STARTS = 6  # of the command; the first warms up
QUERY = "a dog on a beach"


def fill(model: str, albums: Path, count: int, threads: int) -> dict[str, Any]:
    """An album as indexing leaves it, of photos that exist in name only."""
    # Only here: an album of a million photos can't be made through the public functions in minutes.
    import galago
    from galago.album.store import Store, write_lock
    from galago.album.write import Photo, Writer, begin

    folder = albums / str(count)
    if (folder / "filled").exists():
        return {"photos": count}
    folder.mkdir(parents=True, exist_ok=True)
    clip = galago.MobileCLIP.load(model, threads=threads, offline=True)
    embed, known = clip.embed_phrases, albums / "phrases.npy"

    def embed_once(texts: Sequence[str]) -> np.ndarray:
        if not known.exists():
            np.save(known, embed(texts))
        return np.asarray(np.load(known))

    clip.embed_phrases = embed_once  # type: ignore[method-assign]
    rng = np.random.default_rng(count)
    middle = rng.standard_normal(clip.dim, dtype=np.float32)  # real vectors have one, too
    with write_lock(folder), Store.open(folder, write=True) as store:
        begin(store, clip, model)
        with Writer(store) as writer:
            for first in range(0, count, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, count))
                vectors = middle + rng.standard_normal((len(numbers), clip.dim), dtype=np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                digests = [number.to_bytes(16, "little") for number in numbers]
                photos = [
                    Photo(f"/photos/{n % 1000:03d}/IMG_{n:07d}.jpg".encode(), 3_000_000, n, digest)
                    for n, digest in zip(numbers, digests, strict=True)
                ]
                writer.record(photos, digests, vectors)
    (folder / "filled").touch()
    return {"photos": count}


def warm(model: str, albums: Path, count: int, threads: int) -> dict[str, Any]:
    """Milliseconds for a vector, and for words through the model's text tower."""
    import galago
    from galago.album import Part, Searcher

    clip = galago.MobileCLIP.load(model, threads=threads, offline=True)
    rng = np.random.default_rng(1)
    asked = words()
    with Searcher(albums / str(count)) as searcher:
        vectors = rng.standard_normal((ASKED, clip.dim), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

        def by_vector(turn: int) -> int:
            return len(searcher.search([Part(vectors[turn])]))

        def by_words(turn: int) -> int:
            vector = clip.embed_texts([asked[turn % len(asked)]])[0]
            return len(searcher.search([Part(vector)]))

        scan, worded = _times(by_vector), _times(by_words)
    return {
        "vector_ms": statistics.median(scan),
        "vector_worst_ms": max(scan),
        "words_ms": statistics.median(worded),
        "peak_memory": peak_memory(),
    }


def _times(search: Callable[[int], int]) -> list[float]:
    times = []
    for turn in range(ASKED):
        start = time.perf_counter()
        found = search(turn)
        times.append(1000 * (time.perf_counter() - start))
        assert found == 12, found
    return times[3:]


def cold(model: str, albums: Path, count: int, threads: int) -> dict[str, Any]:
    """Seconds from the start of the process to its end, the answer printed."""
    environment = os.environ | {"GALAGO_ALBUMS": str(albums)}
    command = [sys.executable, "-m", "galago", "search", QUERY, "--album", str(count)]
    command += ["--all", "--json", "--offline"]  # nothing matches among random vectors
    times = []
    for _ in range(STARTS):
        start = time.perf_counter()
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=environment
        )
        times.append(time.perf_counter() - start)
        assert "IMG_" in done.stdout, done.stdout[:300]
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    folder = albums / str(count)
    return {
        "seconds": statistics.median(times[1:]),
        "worst": max(times[1:]),
        "peak_memory": used * (1 if sys.platform == "darwin" else 1024),
        "disk": sum(path.stat().st_size for path in folder.iterdir()),
    }


def main() -> None:
    what, model, albums, count, threads = sys.argv[1:]
    run = {"fill": fill, "warm": warm, "cold": cold}[what]
    print(json.dumps(run(model, Path(albums), int(count), int(threads))))


if __name__ == "__main__":
    main()
