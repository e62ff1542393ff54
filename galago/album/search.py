"""Photos by words, by a picture, or by several of both: exact, over every photo of an album."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from galago.album.dates import count_undated
from galago.album.embedder import Embedder, Float
from galago.album.filters import Filter, Passing, date_of, folders_of_photos, newest, passing
from galago.album.names import place_of
from galago.album.present import Check, Checked
from galago.album.ranking import Part, Ranked, View, compared
from galago.album.store import Store, check_model, empty
from galago.album.texts import TextKind, text_of
from galago.album.wording import Quotes, quoted
from galago.errors import OptionError

__all__ = ["Hit", "Searcher"]

_MOST = 1 << 40  # of what is asked for: databases count no further than 2^63
_POOL = 1000  # photos judged at least: some attract every query and must not crowd out the matches


@dataclass(frozen=True)
class Hit:
    """A photo found.

    `score`: the cosine with the query; None where none was asked, but texts or dates.  `strength`:
    for words, how far it stands above what the photo scores for other things, in deviations; for a
    picture, how alike they are, -1 to 1.  `match`: whether that is enough (galago/album/match.py),
    or its text has the words.  `copies`: the other paths at which the album has this very content.

    `taken`: when, as "2025-06-14 18:30:05" by the camera's clock, or (`by_file`) by the time of
    its file.  `text`: a line with the words that were looked for, and `kind` where it is from:
    "read" in the picture, or its "caption".  `second`: of a video, which moment of it was found.
    `caption`: what was said of it when a camera saw it.
    """

    path: str
    score: float | None
    strength: float
    match: bool
    copies: tuple[str, ...] = ()
    taken: str = ""
    by_file: bool = True
    text: str | None = None
    kind: TextKind | None = None
    second: float | None = None
    caption: str | None = None


@dataclass(frozen=True)
class _Asked:
    """A search, checked."""

    parts: Sequence[Part]
    k: int
    only_matches: bool
    where: Filter
    text: str
    not_text: Sequence[str]


class Searcher:
    """An open album to search, again and again, while it may be indexed by another process."""

    def __init__(self, folder: Path) -> None:
        """Raises OptionError when there is no album or nothing in it, StorageError."""
        self._store = Store.open(folder)
        self._place = place_of(folder)
        self._one = threading.Lock()
        self._version = -1
        self._view: View | None = None
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
            if place_of(self._store.folder) != self._place:
                return False
            return self._store.steady(self._look).head.identity == self.head.identity

    def check(self, model: Embedder, source: str) -> None:
        """OptionError, with the command that helps, when another model made the album.

        `source`: what opened this model.
        """
        check_model(self._store, self.head, model, source)

    def search(
        self,
        parts: Sequence[Part] = (),
        k: int = 12,
        *,
        only_matches: bool = False,
        where: Filter | None = None,
        text: str = "",
        not_text: Sequence[str] = (),
    ) -> Checked[Hit]:
        """The k best photos: matches first, then the nearest; of each the highest score first.

        Every photo that `where` lets through is compared, and of the 20 k nearest (1000 at least)
        it is judged whether they match.  Photos whose texts (what stands in them, captions) have
        all words of `text`, and none of `not_text` all of its words, are matches too; the two
        kinds take turns (`galago.album.wording.fused`).  With `text` and no parts only texts are
        searched, with `where` alone all that it lets through is found, the newest first.

        Files of one content are one hit.  Each path is looked up on the disk: what is gone
        or not as it was indexed is left out, and counted in `left_out`; paths that lead to one
        file count as one.  Raises OptionError for nothing wanted, a vector of another length, k
        below 1, or a folder of which the album has nothing; StorageError.
        """
        asked = _Asked(parts, k, only_matches, where or Filter(), text, not_text)
        if k < 1:
            raise OptionError(f"{k} results are not possible: ask for 1 or more")
        wanted = any(part.wanted for part in parts) or (not parts and (text or asked.where))
        if not wanted:
            raise OptionError("say what to look for, not only what to leave out")
        if not all(0 < part.weight < np.inf for part in parts):
            raise OptionError("a part's weight must be more than 0")
        with self._one:
            return self._store.steady(lambda: self._search(self._look(), asked))

    @property
    def name(self) -> str:
        """What the album is called."""
        return self._store.folder.name

    def texts(self) -> int:
        """How many texts are kept: what stands in pictures, and captions."""
        with self._one:
            return self._store.steady(lambda: self._store.count("texts WHERE text <> ''"))

    def undated(self) -> int:
        """How many photos nobody has looked at for a date (`galago index` does)."""
        with self._one:
            return self._store.steady(lambda: count_undated(self._store))

    def folders(self) -> list[str]:
        """The folders that hold photos, by name."""
        with self._one:
            return self._store.steady(lambda: folders_of_photos(self._store))

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

    def _vectors(self, view: View, numbers: Sequence[int]) -> tuple[list[int], Float]:
        if view.head.identity != self.head.identity:  # rows of another model's space
            return [], np.empty((0, self.head.dim), np.float32)
        rows = {number: self._store.row_of_photo(number) for number in numbers}
        there = {number: row for number, row in rows.items() if row is not None}
        return list(there), view.rows.take(np.array(list(there.values()), np.intp))

    def _search(self, view: View, asked: _Asked) -> Checked[Hit]:
        if view.head.identity != self.head.identity:
            raise OptionError(
                f"album {self._store.folder.name!r} has been indexed anew by {view.head.model}: "
                "open it again, with that model"
            )
        for part in asked.parts:
            if part.vector.shape != (view.head.dim,):
                raise OptionError(
                    f"a vector of shape {part.vector.shape} is no query of this album, whose "
                    f"model {view.head.model} gives ({view.head.dim},)"
                )
        through = passing(self._store, asked.where) if asked.where else None
        k = min(asked.k, _MOST)
        wanted = max(20 * k, _POOL)
        while True:
            check = Check()
            rows = self._found(view, asked, through, wanted)
            hits = list(islice(self._hits(rows, through, check), k))
            if len(hits) == k or not check.left_out or wanted >= len(view.rows):
                return Checked(hits, check.left_out)
            wanted *= 8  # what is gone must not hide what is there

    def _found(
        self, view: View, asked: _Asked, through: Passing | None, wanted: int
    ) -> list[Ranked]:
        """What is found in the order in which it is shown; `wanted` at least, if there are."""
        count = None if through is None else set(through.rows.tolist())
        quotes = Quotes()
        if asked.text:
            quotes = quoted(self._store, asked.text, asked.not_text, count, wanted)
        elif not asked.parts and through is not None:
            return [Ranked(row) for row in newest(self._store, through)]
        if not asked.parts:
            both = (*quotes.whole.items(), *quotes.begun.items())
            return [Ranked(row, quote=quote) for row, quote in both]
        rows = None if through is None else through.rows
        return compared(view, asked.parts, rows, quotes, wanted, only_matches=asked.only_matches)

    def _hits(self, rows: Iterable[Ranked], through: Passing | None, check: Check) -> Iterator[Hit]:
        """Those of the rows that are there; a video once, by its best moment."""
        videos: set[bytes] = set()
        for one in rows:
            moment = self._store.moment_of(one.row)
            if moment is not None:
                if moment.video in videos:
                    continue
                videos.add(moment.video)
            files, taken = self._store.photos_of(one.row), self._store.taken(one.row)
            if through is not None:
                held = {file.path for file in files if through.holds(file, taken)}
                files.sort(key=lambda file: file.path not in held)  # the others are its copies
            files = [file for file in files if check.admits(file)]
            if not files or (through is not None and files[0].path not in held):
                continue
            date = date_of(taken, files[0].mtime_ns)
            path, *copies = (os.fsdecode(file.path) for file in files)
            quote = one.quote
            yield Hit(
                path,
                one.score,
                one.strength,
                one.match,
                tuple(copies),
                date.when,
                date.by_file,
                None if quote is None else quote.text,
                None if quote is None else quote.kind,
                second=None if moment is None else moment.second,
                caption=text_of(self._store, self._store.digest_of(one.row), "caption"),
            )

    def _look(self) -> View:
        """What is committed now; inside a transaction, which keeps it so."""
        version = self._store.db.execute("PRAGMA data_version").fetchone()[0]
        if self._view is None or version != self._version:
            head = self._store.head()
            if head is None or not self._store.any_photo():
                raise OptionError(empty(self._store.folder.name))
            unused = np.array(self._store.unused(), np.intp)
            background, reach = self._store.background(head.dim)
            self._view = View(head, self._store.rows(head), unused, background, reach)
            self._version = version
        return self._view
