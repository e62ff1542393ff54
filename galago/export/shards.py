"""Weights written as safetensors, a tensor at a time, in files of at most 4 GB with an index.

Each file is noted when it is whole, so that an export that was stopped goes on with the next one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from galago.checkpoints.folders import INDEX, WEIGHTS
from galago.checkpoints.safetensors import SafetensorsWriter
from galago.checkpoints.tensors import Array, Entry, Stored, let_go
from galago.export.work import Work
from galago.progress import Stage

__all__ = ["Item", "as_stored", "rows_of", "write_items"]

LIMIT = 4_000_000_000  # bytes of a file; one tensor that has more stands alone
_RUN = 32 << 20  # numbers that are held at once


@dataclass(frozen=True)
class Item:
    """What is made together: one tensor, or a quantised one with its scales and biases.

    `pieces()`: (name, next run of rows) until every entry is whole.
    """

    entries: Mapping[str, Entry]
    pieces: Callable[[], Iterable[tuple[str, Array]]]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries.values())


def rows_of(tensor: Stored) -> Iterator[Array]:
    """A stored tensor in runs of rows, its pages let go behind it."""
    array = tensor.read()
    rows = len(array) if array.ndim else 1
    step = max(1, _RUN // max(1, array.size // max(1, rows)))
    for start in range(0, rows, step):
        yield array[start : start + step] if array.ndim else array
    let_go(tensor)


def as_stored(name: str, tensor: Stored) -> Item:
    """A tensor bit for bit under another name."""

    def pieces() -> Iterator[tuple[str, Array]]:
        for run in rows_of(tensor):
            yield name, run

    return Item({name: Entry(tensor.dtype, tensor.shape)}, pieces)


def write_items(work: Work, items: Sequence[Item], kind: str) -> list[str]:
    """The names of the files that hold these, the index left out; `kind`: whose format ("pt",
    "mlx") their headers say."""
    shards = _dealt(items)
    count = len(shards)
    names = [WEIGHTS] if count == 1 else [_numbered(at, count) for at in range(1, count + 1)]
    total = sum(item.size for item in items)
    done = 0
    for name, shard in zip(names, shards, strict=True):
        work.graph(name, _writer(work, shard, kind, done, total))
        done += sum(item.size for item in shard)
    if count > 1:
        where = {
            entry: name
            for name, shard in zip(names, shards, strict=True)
            for item in shard
            for entry in item.entries
        }
        index = {"metadata": {"total_size": total}, "weight_map": where}
        (work.graphs / INDEX).write_text(json.dumps(index, indent=1) + "\n", "utf-8")
    work.tell(Stage("writing"), 1.0)
    return names


def _numbered(at: int, count: int) -> str:
    return f"model-{at:05d}-of-{count:05d}.safetensors"


def _dealt(items: Sequence[Item]) -> list[list[Item]]:
    shards: list[list[Item]] = [[]]
    held = 0
    for item in items:
        if held and held + item.size > LIMIT:
            shards.append([])
            held = 0
        shards[-1].append(item)
        held += item.size
    return shards


def _writer(
    work: Work, items: Sequence[Item], kind: str, before: int, total: int
) -> Callable[[Path], int]:
    def write(path: Path) -> int:
        plan = {name: entry for item in items for name, entry in item.entries.items()}
        writer = SafetensorsWriter(path, plan, {"format": kind})
        try:
            for item in items:
                for name, run in item.pieces():
                    writer.append(name, run)
                    work.tell(Stage("writing"), (before + writer.written) / total)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        return 0

    return write
