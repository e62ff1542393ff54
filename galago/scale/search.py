"""Pictures of a table by words, by a picture, or by several of both, as an album has it.

What an album keeps open is read here as it is needed: the nearest rows by all vectors or by the
index, and of these the columns that are shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Embedder
from galago.album.present import Checked
from galago.album.ranking import Part, Ranked, View, compared
from galago.album.search import Hit
from galago.album.store import Head
from galago.album.wording import Quotes
from galago.errors import OptionError
from galago.scale.calibration import background_of, calibrate
from galago.scale.exact import Near, nearest
from galago.scale.reader import Reader, Record, exact_name

__all__ = ["EXACT", "MOST", "Report", "TableSearcher", "by_index", "check_count"]

Report = Callable[[str, int], None]  # what is being done, and with how many rows so far

# Rows up to which all are looked at, though there be an index: an album answers a million in a
# tenth to a fifth of a second (docs/album.md).
EXACT = 1_000_000
MOST = 1000  # results: twenty times as many are held and judged
_POOL = 1000  # judged at least: some pictures attract every query, and must not crowd out others
_SHOWN = ["path", "path_bytes", "modified", "sha256", "caption"]


class TableSearcher:
    """A table to search, again and again, as it was when it was opened.

    `where`: a condition in SQL that rows must fulfil.  `exact`: whether all vectors are looked at;
    None: where the table is small or has no index.
    """

    def __init__(
        self,
        reader: Reader,
        model: Embedder,
        where: str = "",
        *,
        exact: bool | None = None,
        report: Report = lambda stage, rows: None,
    ) -> None:
        """OptionError for another model than the table's; StorageError."""
        reader.check(model.name, model.identity, model.dim)
        self._reader, self._where, self._report = reader, where, report
        self._count = reader.count(where)
        # Few that a filter lets through are quickly looked at, all of them.
        self.by_index = by_index(reader, exact) and (exact is False or self._count > EXACT)
        index = reader.index() if self.by_index else None
        self.missing = index.missing if index else 0  # rows that the index doesn't have
        self._background = background_of(model)
        self._calibration = calibrate(
            reader, self._background, lambda rows: report("calibrating", rows)
        )

    def search(
        self, parts: Sequence[Part], k: int = 12, *, only_matches: bool = False
    ) -> Checked[Hit]:
        """The k best pictures, in the order of an album (`galago.album.Searcher.search`).

        Files of one content (sha256) are one hit.  Nothing is looked up where the pictures are:
        that may be anywhere.  Raises OptionError for nothing wanted, or k below 1 or above MOST.
        """
        check_count(k)
        if not any(part.wanted for part in parts):
            raise OptionError("say what to look for, not only what to leave out")
        made = self._reader.made
        view = _View(
            Head(made.model, made.model, made.identity, made.dim, 0, self._count, 0.0),
            _Rows(self.near, self._count, made.dim),
            np.empty(0, np.intp),
            self._background,
            self._calibration.reach,
            middle=self._calibration.middle,
        )
        wanted = max(20 * k, _POOL)
        ranked = compared(view, parts, None, Quotes(), wanted, only_matches=only_matches)
        return Checked(self._hits(ranked, k))

    def near(self, query: NDArray[np.float32], k: int) -> Near:
        """The k rows nearest to a query (dim,), exactly or (`by_index`) about."""
        if self.by_index:
            return nearest([self._reader.indexed(query, k, self._where)], [query], k)[0]
        some = self._reader.vectors(self._where)
        return nearest(some, [query], k, lambda rows: self._report("searching", rows))[0]

    def _hits(self, ranked: Sequence[Ranked], k: int) -> Iterator[Hit]:
        """Each content once, by the first of its rows; the others are its copies."""
        places = np.array([one.row for one in ranked], np.int64)
        first: dict[str, tuple[Ranked, Record]] = {}
        copies: dict[str, list[str]] = {}
        for one, record in zip(ranked, self._reader.take(places, _SHOWN), strict=True):
            content = record["sha256"] or f"row {one.row}"
            if content in first:
                copies[content].append(os.fsdecode(exact_name(record)))
            elif len(first) < k:
                first[content], copies[content] = (one, record), []
        for content, (one, record) in first.items():
            modified = record["modified"]
            yield Hit(
                os.fsdecode(exact_name(record)),
                one.score,
                one.strength,
                one.match,
                tuple(copies[content]),
                "" if modified is None else f"{modified.astimezone():%Y-%m-%d %H:%M:%S}",
                caption=record["caption"],
            )


class _Rows:
    """A table as `galago.album.ranking` asks it: what was found is all that it is asked for."""

    def __init__(
        self, near: Callable[[NDArray[np.float32], int], Near], count: int, dim: int
    ) -> None:
        self._near, self._count, self._dim = near, count, dim
        self._found: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return self._count

    def nearest(
        self, query: NDArray[np.float32], k: int, without: NDArray[np.intp] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        near = self._near(query, k)
        self._found = dict(zip(near.places.tolist(), near.vectors, strict=True))
        return near.places.astype(np.intp), near.scores

    def take(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        if not len(rows):
            return np.empty((0, self._dim), np.float32)
        return np.stack([self._found[row] for row in rows.tolist()])


@dataclass(frozen=True)
class _View(View):
    """As an album's, with the mean of some of its pictures known beforehand."""

    middle: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    @cached_property
    def sample(self) -> NDArray[np.float32]:
        return self.middle[None]


def check_count(k: int) -> None:
    """OptionError for as many results as can't be held."""
    if not 1 <= k <= MOST:
        raise OptionError(f"{k} results are not possible: ask for 1 to {MOST:,} of a table")


def by_index(reader: Reader, exact: bool | None = None) -> bool:
    """Whether a search of this table goes by its index."""
    if exact is not None:
        return not exact and reader.index() is not None
    return reader.count() > EXACT and reader.index() is not None
