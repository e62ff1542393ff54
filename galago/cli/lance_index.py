"""`galago lance-index`: an index for tables that are too large to look at every vector."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli import options
from galago.cli.stopping import stoppable
from galago.cli.terminal import Bar, path_fields, say, shown, write, write_record
from galago.errors import GalagoError, OptionError

if TYPE_CHECKING:
    from galago.scale.lance_index import Recall
    from galago.scale.lance_reader import LanceReader

__all__ = ["lance_index"]

_QUERIES = 100  # of each kind that the recall is measured with
_POOL = 1000  # nearest rows that a search asks for


def lance_index(
    out: Annotated[str, typer.Argument(metavar="OUT", help="A table of galago embed: NAME.lance.")],
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Also where looking at all vectors is quick enough."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as a JSON object.")] = False,
    threads: options.Threads = None,
    offline: options.Offline = False,
) -> None:
    """Build an index of a Lance table's vectors (IVF_PQ), and measure what it finds.

    For tables of over a million rows: below, galago search looks at every vector, which is exact.
    What is printed is the recall: of the ten nearest rows, how many a search by the index finds, on
    average over a hundred rows of the table, and over a hundred phrases if the table's model is
    here. Rows that are added later are found without the index, one by one, until this command is
    given again. Ctrl-C leaves the table as it was. Needs the extra `cluster`.

    \b
    Examples:
      galago lance-index pictures.lance
      galago lance-index small.lance --anyway
    """
    from galago.cli.search_table import opened
    from galago.scale.lance_index import build
    from galago.scale.lance_reader import LanceReader
    from galago.scale.lance_table import LanceTable
    from galago.scale.search import EXACT

    reader = opened(out, offline)
    if not isinstance(reader, LanceReader):
        raise OptionError(f"{out} is a folder of Parquet files: only a Lance table has an index")
    rows = reader.count()
    if rows <= EXACT and not anyway:
        raise OptionError(
            f"{reader.place} has {rows:,} rows, and galago search looks at all vectors of up to "
            f"{EXACT:,}, which is exact: an index doesn't pay yet; --anyway builds it"
        )
    before = reader.index()
    try:
        with stoppable(), Bar(None) as bar:
            if before is None or before.missing or before.rows != rows:
                build(LanceTable(out), bar.update)
                reader = LanceReader(out)
            found = _measured(reader, bar, threads, offline)
    except KeyboardInterrupt:
        built = LanceReader(out).index() != before
        has = "its new index, not measured" if built else "the index that it had"
        say(f"stopped: {reader.place} is whole, and has {has}")
        raise typer.Exit(130) from None
    _tell(reader, before is not None and reader.index() == before, found, as_json)


def _measured(
    reader: LanceReader, bar: Bar, threads: int | None, offline: bool
) -> dict[str, Recall]:
    from galago.scale.lance_index import recall, sample

    rows = reader.count()
    kinds = {"pictures": sample(reader, _QUERIES)}
    phrases = _phrases(reader, bar, threads, offline)
    if phrases is not None:
        kinds["words"] = phrases
    return {
        kind: recall(
            reader, some, _POOL, lambda done: bar.update("comparing with all vectors", done, rows)
        )
        for kind, some in kinds.items()
    }


def _phrases(reader: LanceReader, bar: Bar, threads: int | None, offline: bool) -> Any:
    """Everyday phrases as queries that are no rows; None where their model can't be opened."""
    import numpy as np

    from galago.cli.search_table import load_own
    from galago.scale.calibration import background_of, calibrate
    from galago.scale.reader import Vectors

    try:
        with bar.aside():
            clip = load_own(reader, None, threads, offline)
    except GalagoError as error:
        say(f"note: words weren't tried, as the table's model can't be opened: {error}")
        return None
    background = background_of(clip)
    rows = reader.count()
    # Kept for the searches to come.
    calibrate(reader, background, lambda done: bar.update("calibrating", done, rows))
    some = background.shown[:: max(1, len(background.shown) // _QUERIES)][:_QUERIES]
    return Vectors(np.full(len(some), -1, np.int64), some)


def _tell(reader: LanceReader, kept: bool, found: dict[str, Recall], as_json: bool) -> None:
    index = reader.index()
    if index is None:
        raise OptionError(f"{reader.place} was written anew meanwhile: give the command again")
    if as_json:
        write_record(
            {
                **path_fields(reader.place, "out"),
                "index": index.kind,
                "rows": index.rows,
                "missing": index.missing,
                "built": not kept,
                "recall": {
                    kind: {
                        "queries": one.queries,
                        "mean": round(one.mean, 4),
                        "worst": round(one.worst, 4),
                        "seconds": round(one.seconds, 4),
                        "exact_seconds": round(one.exact_seconds, 4),
                    }
                    for kind, one in found.items()
                },
            }
        )
        return
    place = shown(os.path.basename(reader.place))
    write(f"{place}: {index.kind} of {index.rows:,} rows{', as it was' if kept else ''}\n")
    for kind, one in found.items():
        write(
            f"recall@10 by {one.queries} {kind}: {one.mean:.3f}, {one.worst:.1f} at worst; "
            f"{one.seconds:.3f} s by the index, {one.exact_seconds:.3f} s by all vectors\n"
        )
