"""Photos by words, by a picture, or by several of both: exact, over every photo of an album."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from galago.album.embedder import Embedder, Float
from galago.album.match import ALIKE, NEAR, Background, likeness, strength, words_cut
from galago.album.names import DATABASE
from galago.album.present import Check, Checked
from galago.album.store import Head, Store, check_model, empty
from galago.album.vectors import Rows
from galago.errors import OptionError

__all__ = ["Hit", "Part", "Searcher"]

_SAMPLE = 512  # photos that stand for the whole album where its average is asked for
_POOL = 1000  # photos judged at least: some attract every query and must not crowd out the matches
_JUDGED = 4096  # of them at once, so that memory does not grow with k
_MINUS = 0.5  # what is not wanted weighs half: nothing at all should not beat what is wanted


@dataclass(frozen=True)
class Part:
    """One part of a query: a unit vector (dim,) of words or of a picture, wanted or not."""

    vector: Float
    kind: Literal["words", "picture"] = "words"
    wanted: bool = True


@dataclass(frozen=True)
class Hit:
    """A photo found.

    `score`: the cosine with the query.  `strength`: for words, how far it stands above what the
    photo scores for other things, in deviations; for a picture, how alike they are, -1 to 1.
    `match`: whether that is enough (galago/album/match.py).  `copies`: the other paths at which
    the album has this very content.  `second`: of a video, the moment that fits best.
    """

    path: str
    score: float
    strength: float
    match: bool
    copies: tuple[str, ...] = ()
    second: float | None = None


@dataclass(frozen=True)
class _View:
    """What was committed at one moment."""

    head: Head
    rows: Rows
    unused: NDArray[np.intp]
    background: Background
    reach: Float

    @cached_property
    def sample(self) -> Float:
        """Photos evenly spread over the album, (n, dim)."""
        free = np.ones(len(self.rows), bool)
        free[self.unused] = False
        places = np.flatnonzero(free)
        step = max(1, len(places) // _SAMPLE)
        return self.rows.take(places[::step][:_SAMPLE])


class Searcher:
    """An open album to search, again and again, while it may be indexed by another process."""

    def __init__(self, folder: Path) -> None:
        """Raises OptionError when there is no album or nothing in it, StorageError."""
        self._store = Store.open(folder)
        self._place = _place(folder)
        self._one = threading.Lock()
        self._version = -1
        self._view: _View | None = None
        try:
            self.head = self._store.steady(self._look).head
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_current(self) -> bool:
        """Whether the album is what was opened: not indexed by another model since, nor made anew.

        Raises OptionError when nothing is in it any more, StorageError.
        """
        with self._one:
            if _place(self._store.folder) != self._place:
                return False
            return self._store.steady(self._look).head.identity == self.head.identity

    def check(self, model: Embedder, source: str) -> None:
        """OptionError, with the command that helps, when another model made the album.

        `source`: what opened this model.
        """
        check_model(self._store, self.head, model, source)

    def search(
        self, parts: Sequence[Part], k: int = 12, *, only_matches: bool = False
    ) -> Checked[Hit]:
        """The k best photos: matches first, then the nearest; of each the highest score first.

        Every photo is compared, and of the 20 k nearest (1000 at least) it is judged whether they
        match.  Files of one content are one hit.  Each path is looked up on the disk: what is gone
        or not as it was indexed is left out, and counted in `left_out`; paths that lead to one
        file count as one.  Raises OptionError for nothing wanted, a vector of another length, or k
        below 1; StorageError.
        """
        if k < 1:
            raise OptionError(f"{k} results are not possible: ask for 1 or more")
        if not any(part.wanted for part in parts):
            raise OptionError("say what to look for, not only what to leave out")
        with self._one:
            return self._store.steady(lambda: self._search(self._look(), parts, k, only_matches))

    def number_of(self, path: str) -> int | None:
        """What names a photo while it is in the album; None when it isn't."""
        with self._one:
            return self._store.steady(lambda: self._store.number_of(os.fsencode(path)))

    def photo(self, number: int) -> str | None:
        """The path of a photo by its number; None when the album has no such photo."""
        with self._one:
            path = self._store.steady(lambda: self._store.photo(number))
        return None if path is None else os.fsdecode(path)

    def vectors(self, numbers: Sequence[int]) -> tuple[list[int], Float]:
        """Which of the photos with these numbers there are, and their unit rows (n, dim)."""
        with self._one:
            return self._store.steady(lambda: self._vectors(self._look(), numbers))

    def count(self) -> int:
        """How many photos can be found."""
        with self._one:
            return self._store.steady(self._store.count)

    def _vectors(self, view: _View, numbers: Sequence[int]) -> tuple[list[int], Float]:
        if view.head.identity != self.head.identity:  # rows of another model's space
            return [], np.empty((0, self.head.dim), np.float32)
        rows = {number: self._store.row_of_photo(number) for number in numbers}
        there = {number: row for number, row in rows.items() if row is not None}
        return list(there), view.rows.take(np.array(list(there.values()), np.intp))

    def _search(
        self, view: _View, parts: Sequence[Part], k: int, only_matches: bool
    ) -> Checked[Hit]:
        if view.head.identity != self.head.identity:
            raise OptionError(
                f"album {self._store.folder.name!r} has been indexed anew by {view.head.model}: "
                "open it again, with that model"
            )
        for part in parts:
            if part.vector.shape != (view.head.dim,):
                raise OptionError(
                    f"a vector of shape {part.vector.shape} is no query of this album, whose "
                    f"model {view.head.model} gives ({view.head.dim},)"
                )
        query, wanted = _query(view, parts), max(20 * k, _POOL)
        while True:
            check = Check()
            found = view.rows.nearest(query, wanted, view.unused)
            hits = list(islice(self._hits(view, parts, found, only_matches, check), k))
            if len(hits) == k or not check.left_out or wanted >= len(view.rows):
                return Checked(hits, check.left_out)
            wanted *= 8  # what is gone must not hide what is there

    def _hits(
        self,
        view: _View,
        parts: Sequence[Part],
        found: tuple[NDArray[np.intp], Float],
        only_matches: bool,
        check: Check,
    ) -> Iterator[Hit]:
        """The nearest (places, scores) as hits, of those that are there."""
        places, scores = found
        strengths, matches = _judge_all(view, parts, places)
        order = np.argsort(~matches, kind="stable")
        videos: set[bytes] = set()
        for at in order[: np.count_nonzero(matches)] if only_matches else order:
            moment = self._store.moment_of(int(places[at]))
            if moment is not None:
                if moment.video in videos:  # its best moment was given
                    continue
                videos.add(moment.video)
            files = self._store.photos_of(int(places[at]))
            paths = [os.fsdecode(file.path) for file in files if check.admits(file)]
            if paths:
                judged = float(scores[at]), float(strengths[at]), bool(matches[at])
                second = None if moment is None else moment.second
                yield Hit(paths[0], *judged, copies=tuple(paths[1:]), second=second)

    def _look(self) -> _View:
        """What is committed now; inside a transaction, which keeps it so."""
        version = self._store.db.execute("PRAGMA data_version").fetchone()[0]
        if self._view is None or version != self._version:
            head = self._store.head()
            if head is None or not self._store.any_photo():
                raise OptionError(empty(self._store.folder.name))
            unused = np.array(self._store.unused(), np.intp)
            background, reach = self._store.background(head.dim)
            self._view = _View(head, self._store.rows(head), unused, background, reach)
            self._version = version
        return self._view


def _place(folder: Path) -> tuple[int, int] | None:
    """What tells an album's database from another one by the same name."""
    try:
        found = os.stat(folder / DATABASE)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _query(view: _View, parts: Sequence[Part]) -> Float:
    """One vector (dim,) for all parts.

    Words and pictures lie in two regions of the space (Liang et al., "Mind the gap",
    https://arxiv.org/abs/2203.02053), so a plain sum would mostly say which region is meant.
    Parts are taken relative to the middle of their own region, then brought to one length.
    """
    if len(parts) == 1:
        return parts[0].vector
    middle = {
        "words": view.background.shown.mean(axis=0),
        "picture": view.sample.mean(axis=0),
    }
    total = np.zeros(view.head.dim, np.float32)
    for part in parts:
        apart = part.vector - middle[part.kind]
        total += (1 if part.wanted else -_MINUS) * apart / max(float(np.linalg.norm(apart)), 1e-6)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)


def _judge_all(
    view: _View, parts: Sequence[Part], places: NDArray[np.intp]
) -> tuple[Float, NDArray[np.bool_]]:
    """As _judge, of rows by their places (n,), some at a time."""
    strengths, matches = np.empty(len(places), np.float32), np.empty(len(places), bool)
    for start in range(0, len(places), _JUDGED):
        part = slice(start, start + _JUDGED)
        strengths[part], matches[part] = _judge(view, parts, view.rows.take(places[part]))
    return strengths, matches


def _judge(view: _View, parts: Sequence[Part], found: Float) -> tuple[Float, NDArray[np.bool_]]:
    """Strength of photos (n, dim), and which are matches: those that one wanted part makes one."""
    strengths = np.full(len(found), -np.inf, np.float32)
    matches = np.zeros(len(found), bool)
    for part in parts:
        if not part.wanted:
            continue
        scores = found @ part.vector
        if part.kind == "words":
            own = strength(scores, found @ view.background.shown.T)
            matches |= own >= words_cut(view.reach)
        else:
            own = likeness(found, part.vector, view.background)
            matches |= (own >= ALIKE) | (scores >= NEAR)
        strengths = np.maximum(strengths, own)
    return strengths, matches
