"""Measures the search of tables for docs/scale.md: generated vectors, exactly and by an index.

    python tools/search_figures.py 100000 /somewhere/with/room

Makes a table of so many rows (512 numbers in float16, in clusters, seed 24), searches it, builds
its index and removes it again.  Needs the extra `cluster`.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from galago.album.match import Background, reach  # noqa: E402
from galago.scale.arrow import schema_of  # noqa: E402
from galago.scale.exact import nearest  # noqa: E402
from galago.scale.lance_index import build, recall, sample  # noqa: E402
from galago.scale.lance_reader import LanceReader  # noqa: E402
from galago.scale.lance_table import LanceTable  # noqa: E402
from galago.scale.reader import Vectors  # noqa: E402
from galago.scale.rows import Made  # noqa: E402

SEED, DIM, AT_ONCE, QUERIES, POOL = 24, 512, 8192, 100, 1000
PER_CLUSTER, SPREAD = 200, 0.7  # rows of a cluster; length of what tells them from its centre
MADE = Made("generated", f"seed-{SEED}", DIM, "float16")

Float = NDArray[np.float32]


def unit(rows: Float) -> Float:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clustered(chance: np.random.Generator, centres: Float, count: int, spread: float) -> Float:
    """Rows around centres by chance, (count, dim), of length one."""
    apart = unit(chance.standard_normal((count, DIM), np.float32))
    return unit(centres[chance.integers(0, len(centres), count)] + spread * apart)


def written(count: int, centres: Float, chance: np.random.Generator) -> Iterator[Any]:
    """The table in record batches; but for names and vectors its columns are empty."""
    import pyarrow as pa

    schema = schema_of(MADE)
    for start in range(0, count, AT_ONCE):
        rows = min(AT_ONCE, count - start)
        vectors = clustered(chance, centres, rows, SPREAD).astype(np.float16)
        given = {
            "path": pa.array([f"/pictures/{start + at:09}.jpg" for at in range(rows)]),
            "width": pa.array(chance.integers(100, 4000, rows), pa.int32()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIM),
        }
        columns = [given.get(one.name, pa.nulls(rows, one.type)) for one in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def seconds(work: Any, times: int = 5) -> tuple[float, float]:
    """The least of some tries by the clock, and of processors: these say more on a busy machine."""
    clock, processors = [], []
    for _ in range(times):
        began, busy = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - began)
        processors.append(time.process_time() - busy)
    return min(clock), min(processors)


def main() -> None:
    import lance

    count, place = int(sys.argv[1]), os.path.join(sys.argv[2], f"figures-{sys.argv[1]}.lance")
    print(f"load at the start {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    chance = np.random.default_rng(SEED)
    centres = unit(chance.standard_normal((max(1, count // PER_CLUSTER), DIM), np.float32))
    try:
        batches = written(count, centres, chance)
        lance.write_dataset(batches, place, schema=schema_of(MADE))
        measure(place, centres, chance)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measure(place: str, centres: Float, chance: np.random.Generator) -> None:
    table, reader = LanceTable(place), LanceReader(place)
    rows = sample(reader, QUERIES)
    # As words are: farther from every row than rows are from each other.
    words = Vectors(np.full(QUERIES, -1), clustered(chance, centres, QUERIES, 2.0))
    one = rows.stored[0]
    tell("exact", *seconds(lambda: nearest(reader.vectors(), [one], POOL)))
    where = "width > 3900"
    tell("exact, a fortieth", *seconds(lambda: nearest(reader.vectors(where), [one], POOL)))
    phrases = unit(chance.standard_normal((400, DIM), np.float32))
    background = Background(phrases[:330], phrases[330:])
    some = next(iter(reader.vectors())).stored.astype(np.float32)
    per_row = seconds(lambda: reach(some, background))[1] / len(some)
    print(f"calibrating: {1e6 * per_row:.1f} us of processors a row", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
    began = time.perf_counter()
    build(table)
    size = sum(path.stat().st_size for path in Path(place, "_indices").rglob("*.*"))
    print(f"index: {time.perf_counter() - began:.0f} s, {size / 1e6:.0f} MB", flush=True)
    reader = LanceReader(place)
    for kind, queries in (("rows", rows), ("words", words)):
        found = recall(reader, queries, POOL)
        print(f"recall by {kind}: {found}", flush=True)
    tell("index", *seconds(lambda: nearest([reader.indexed(one, POOL)], [one], POOL)))
    tell("index, a fortieth",
         *seconds(lambda: nearest([reader.indexed(one, POOL, where)], [one], POOL)))  # fmt: skip
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def tell(what: str, clock: float, processors: float) -> None:
    print(f"{what}: {1e3 * clock:.0f} ms, {1e3 * processors:.0f} of processors", flush=True)


if __name__ == "__main__":
    main()
