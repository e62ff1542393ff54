"""`galago search --lance OUT`: pictures of a table instead of an album's."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from galago import catalog
from galago.cli import sheets
from galago.cli.hits import Output, check_output, line_of, write_hits
from galago.cli.interpret import Spoken, in_english, remarked
from galago.cli.options import ClipOpening, Opening
from galago.cli.query import Asked
from galago.cli.terminal import Bar, say, shown
from galago.errors import OptionError
from galago.text.visible import visible

if TYPE_CHECKING:
    from galago.album import Checked, Hit
    from galago.clip.mobileclip import MobileCLIP
    from galago.scale.reader import Reader

__all__ = ["Asking", "load_own", "opened", "search_table"]


@dataclass(frozen=True)
class Asking:
    """What is asked of a table besides the query; `exact`: by all vectors, though it has an
    index."""

    place: str
    where: str = ""
    exact: bool = False
    k: int = 12
    show_all: bool = False
    as_is: bool = False
    model: str | None = None
    threads: int | None = None
    offline: bool = False


def search_table(asked: Sequence[Asked], asking: Asking, output: Output) -> None:
    """As the verb, of a table; refusals come before the model is opened."""
    from galago.scale.search import check_count

    if output.preview:
        raise OptionError("--preview shows files of this computer: leave it, or --lance, out")
    check_output(output)
    check_count(asking.k)
    reader = opened(asking.place, asking.offline)
    passing = reader.count(asking.where)
    failed = reader.failed(asking.where)
    clip = load_own(reader, asking.model, asking.threads, asking.offline)
    own = Opening(threads=asking.threads, offline=asking.offline)
    spoken = in_english(asked, clip, own, as_is=asking.as_is)
    found = _found(reader, clip, spoken, asking)
    if strange := catalog.strange(clip.name, found.strange):
        spoken = remarked(spoken, strange)
    write_hits(found, output, None, spoken.told, listed=False)
    if failed:
        say(f"left out: {failed:,} of {passing:,} rows have an error and no vector")
    if not found:
        page = "; no page was written" * (output.html is not None or output.view)
        say(_why_none(passing, asking) + page)
    elif output.html is not None or output.view:
        _write_page(found, asked, spoken, output, asking)


def opened(place: str, offline: bool = False) -> Reader:
    """The table at a place; OptionError for what is none."""
    from galago.scale.addresses import check_offline

    if offline:
        check_offline(place)
    suffix = os.path.splitext(place.rstrip("/\\"))[1].lower()
    if suffix == ".lance":
        from galago.scale.lance_reader import LanceReader

        return LanceReader(place)
    if suffix == ".parquet":
        from galago.scale.parquet_reader import ParquetReader

        return ParquetReader(place)
    raise OptionError(f"{place} is no table of galago embed: these are NAME.lance or NAME.parquet")


def load_own(reader: Reader, model: str | None, threads: int | None, offline: bool) -> MobileCLIP:
    """The table's own model, or the one that was named, if it is that one; OptionError."""
    clip = ClipOpening(model or reader.made.model, threads=threads, offline=offline).load()
    reader.check(clip.name, clip.identity, clip.dim)
    return clip


def _found(reader: Reader, clip: MobileCLIP, spoken: Spoken, asking: Asking) -> Checked[Hit]:
    from galago.album import Checked
    from galago.album.wants import parts_of
    from galago.scale.search import TableSearcher

    rows = reader.count()
    with Bar(rows) as bar:
        searcher = TableSearcher(
            reader, clip, asking.where, exact=True if asking.exact else None,
            report=lambda stage, done: bar.update(stage, done, rows),
        )  # fmt: skip
        if searcher.missing:
            with bar.aside():
                say(
                    f"note: {searcher.missing:,} rows are newer than the index and are looked at "
                    f"one by one: galago lance-index {shown(reader.place)} takes them in"
                )
        parts, strange = parts_of(spoken.wants(), clip, threading.Lock())
        hits = searcher.search(parts, asking.k, only_matches=not asking.show_all)
    return Checked(hits, strange=strange)


def _why_none(passing: int, asking: Asking) -> str:
    if not passing:
        return "no row fulfils --where" if asking.where else "the table has no rows"
    there = " that fulfils --where" if asking.where else ""
    if asking.show_all:
        return f"no picture{there} has a vector"
    return f"no picture{there} matches; --all shows the nearest all the same"


def _write_page(
    hits: Checked[Hit], asked: Sequence[Asked], spoken: Spoken, output: Output, asking: Asking
) -> None:
    """A contact sheet; pictures are read where they are, a few of them from addresses."""
    from galago.album import contact_sheet
    from galago.media.pool import PicturePool
    from galago.scale.pictures import Pictures

    pictures = Pictures(asking.offline)
    title = " ".join(("+ " if part.wanted else "− ") + part.text for part in asked)
    title = title.removeprefix("+ ")
    instead = spoken.told.get("searched_for")
    notes = [f"searched for: {instead}"] if instead else []
    notes += [f"where {asking.where}"] if asking.where else []
    with PicturePool(1) as pool:

        def thumbnail(name: str, side: int) -> bytes:
            return pool.thumbnail(pictures.read(name), side, name=name)

        photos = ((hit.path, line_of(hit)) for hit in hits)
        pieces = contact_sheet(
            visible(title), photos, visible("; ".join(notes)), thumbnail, os.path.exists
        )
        sheets.write_page(pieces, output.html, output.view)
