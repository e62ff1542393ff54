"""An index of a Lance table's vectors, and how much of what is nearest it finds.

IVF_PQ: the vectors lie in parts around centres, of which a search looks into the nearest few, and
each is told by codes of its pieces (Jégou et al., "Product quantization for nearest neighbor
search", https://doi.org/10.1109/TPAMI.2010.57).  What comes near by its codes is compared exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError
from galago.scale.exact import nearest
from galago.scale.lance_build import Report, build_apart
from galago.scale.lance_reader import INDEX, PART, LanceReader
from galago.scale.lance_table import LanceTable
from galago.scale.reader import Reader, Vectors

__all__ = ["LEAST", "Recall", "build", "recall", "sample"]

LEAST = 1 << 12  # rows that Lance can be taught an index by
_CODED = 8  # numbers of a vector that share a code of a byte
_K = 10
_TIMED = 3  # searches by all vectors

Float = NDArray[np.float32]
_STAGES = {
    "train_ivf": "finding the parts", "train_quantizer": "learning the codes",
    "shuffle": "coding", "merge_partitions": "writing the parts",
}  # fmt: skip


@dataclass(frozen=True)
class Recall:
    """Of so many queries: the share of the ten nearest rows that the index found, on average and
    at worst, and the medians of the seconds by the index and by all vectors."""

    queries: int
    mean: float
    worst: float
    seconds: float
    exact_seconds: float


def build(table: LanceTable, report: Report = lambda stage, done, total: None) -> None:
    """Index the vectors, in place of an older index; stopping leaves the table as it was.

    Raises OptionError for a table that has too few rows, StorageError for what can't be written,
    or is being written by another galago.
    """
    with table.writing():
        found = table.dataset()
        made = table.made
        rows = 0 if found is None else found.count_rows(filter="error IS NULL")
        if made is None or rows < LEAST:
            raise OptionError(
                f"{table.place} has {rows:,} rows with a vector, and an index takes {LEAST:,} at "
                "least: galago search looks at all of them meanwhile"
            )
        pieces = max(piece for piece in range(1, made.dim // _CODED + 1) if not made.dim % piece)

        def heard(stage: str, done: int, total: int | None) -> None:
            if stage in _STAGES:
                report(_STAGES[stage], done, total)

        with table.refusals():
            build_apart(
                table,
                {
                    "index_type": "IVF_PQ", "name": INDEX, "metric": "cosine", "replace": True,
                    "num_partitions": max(1, rows // PART), "num_sub_vectors": pieces,
                },
                heard,
            )  # fmt: skip


def sample(reader: Reader, count: int, seed: int = 0) -> Vectors:
    """Some rows by chance, each equally likely, to be asked for.

    Each draws a lot as it comes by, and the lowest lots win: what is held doesn't grow with the
    table, of which nobody need know how many rows it has.
    """
    chance = np.random.default_rng(seed)
    lots, chosen = np.empty(0), np.empty(0, np.int64)
    for places, batch in reader.batches(["error"]):
        good = places[batch.column("error").is_null().to_numpy(zero_copy_only=False)]
        lots = np.concatenate([lots, chance.random(len(good))])
        chosen = np.concatenate([chosen, good])
        if len(lots) > count:
            won = np.argpartition(lots, count - 1)[:count]
            lots, chosen = lots[won], chosen[won]
    chosen.sort()
    rows = [record["vector"] for record in reader.take(chosen, ["vector"])]
    return Vectors(chosen, np.array(rows, np.float32).reshape(-1, reader.made.dim))


def recall(
    reader: LanceReader,
    queries: Vectors,
    k: int,
    report: Callable[[int], None] = lambda rows: None,
) -> Recall:
    """How much of the ten nearest rows a search that asks for k by the index finds.

    A query that is a row of the table is its own nearest, which is no finding and isn't counted;
    one that is none has the place -1.  All vectors are gone over once for all queries together,
    of which `report` hears, and once more for a few alone, to see how long that takes.
    """
    true = nearest(reader.vectors(), list(queries.stored), _K + 1, report)
    shares, seconds, exact_seconds = [], [], []
    for own, query, near in zip(queries.places, queries.stored, true, strict=True):
        began = time.perf_counter()
        about = nearest([reader.indexed(query, k)], [query], _K + 1)[0]
        seconds.append(time.perf_counter() - began)
        wanted = set(near.places[near.places != own][:_K].tolist())
        shares.append(len(wanted & set(about.places.tolist())) / max(1, len(wanted)))
    for query in queries.stored[:_TIMED]:
        began = time.perf_counter()
        nearest(reader.vectors(), [query], k)
        exact_seconds.append(time.perf_counter() - began)
    return Recall(
        len(shares), float(np.mean(shares)), min(shares), float(np.median(seconds)),
        float(np.median(exact_seconds)),
    )  # fmt: skip
