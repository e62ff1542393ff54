"""Pictures that are no rows yet become rows: what to do, who does it, what is kept.

One process lists, hands out and writes; only what it has written is done. That is why a name is
never two rows, whoever is killed: whatever was in somebody's hands is done again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from galago.errors import OptionError
from galago.scale.crew import Chunk, Crew
from galago.scale.items import Item
from galago.scale.known import Known
from galago.scale.rows import Batch, Made
from galago.scale.table import Table

__all__ = ["Report", "Summary", "embed"]

Report = Callable[["Summary"], None]
_NAMED = 50  # pictures that went wrong, kept by name


@dataclass
class Summary:
    """What a run did; counts of pictures."""

    known: int = 0  # rows already
    new: int = 0
    failed: int = 0  # of the new ones, rows with an error
    unread: int = 0  # no rows: another run tries again
    repeated: int = 0  # of the new ones, named twice by IN
    seconds: float = 0.0
    made: Made | None = None
    errors: list[tuple[bytes, str]] = field(default_factory=list)  # the first of `failed`
    later: list[tuple[bytes, str]] = field(default_factory=list)  # ... and of `unread`

    @property
    def done(self) -> int:
        """Pictures of IN that were dealt with."""
        return self.known + self.new + self.unread


def embed(
    items: Iterable[Item],
    table: Table,
    crew: Callable[[], Crew],
    *,
    batch: int = 64,
    limit: int | None = None,
    report: Report | None = None,
) -> Summary:
    """Make a row of each item that has none in the table; stopping loses what isn't written yet.

    `crew` opens the workers, when there is something for them.  `limit`: at most so many new ones.
    `report` hears of every batch.  Raises OptionError for a table that others made, StorageError
    for one that can't be written, and what listing and opening models raise.
    """
    if batch < 1 or (limit is not None and limit < 0):
        raise OptionError("--batch takes a number from 1, --limit one from 0")
    summary = Summary()
    with table.writing():
        # Read when nobody else can write any more.
        known = Known(table.names())
        summary.made = table.made
        todo = itertools.islice(_fresh(items, known, summary), limit)
        chunks = _chunks(todo, batch)
        first = next(chunks, None)
        if first is not None:
            with crew() as workers:
                _work(workers, itertools.chain([first], chunks), table, summary, report)
    return summary


def _work(
    workers: Crew, chunks: Iterable[Chunk], table: Table, summary: Summary, report: Report | None
) -> None:
    """Hand out, and write what comes back; what has come is written however it ends."""
    table.begin(workers.made)
    summary.made = workers.made
    began = time.perf_counter()
    try:
        for done in workers.run(chunks):
            table.add(done)
            _count(summary, done)
            summary.seconds = time.perf_counter() - began
            if report is not None:
                report(summary)
    finally:
        table.flush()
    table.finish()


def _fresh(items: Iterable[Item], known: Known, summary: Summary) -> Iterator[Item]:
    """Items that are no rows yet, each name once."""
    met = Known()  # of new ones alone: names of rows aren't held twice
    for item in items:
        if item.name in known:
            summary.known += 1
        elif not met.meet(item.name):
            summary.repeated += 1
        else:
            yield item


def _chunks(items: Iterator[Item], size: int) -> Iterator[Chunk]:
    while chunk := list(itertools.islice(items, size)):
        yield chunk


def _count(summary: Summary, batch: Batch) -> None:
    summary.new += len(batch.rows)
    summary.unread += len(batch.unread)
    for row in batch.rows:
        if row.error is not None:
            summary.failed += 1
            if len(summary.errors) < _NAMED:
                summary.errors.append((row.name, row.error))
    summary.later += batch.unread[: _NAMED - len(summary.later)]
