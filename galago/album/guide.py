"""An open album and the model that made it: words and pictures in, photos out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from galago.album.embedder import Embedder
from galago.album.filters import Filter, filter_of
from galago.album.match import is_close
from galago.album.present import Checked
from galago.album.search import Hit, Searcher
from galago.album.sights import PHRASE, sights, words
from galago.album.wants import Want, parts_of
from galago.media.images import Source

__all__ = ["Found", "Guide"]


@dataclass(frozen=True)
class Found(Hit):
    """A photo found, and its number in the album."""

    number: int = 0

    @property
    def close(self) -> bool:
        """Whether it matches far better than it must (galago/album/match.py), or by its text."""
        return self.match and (self.text is not None or is_close(self.strength))


class Guide:
    """Searches one album, one question at a time.  Safe to use from several threads."""

    def __init__(
        self, name: str, searcher: Searcher, model: Embedder, lock: threading.Lock
    ) -> None:
        """`lock` is held while the model works: it isn't for several threads at once."""
        self.name = name
        self.model = model.name
        self._searcher = searcher
        self._embedder = model
        self._lock = lock

    def find(
        self,
        words: Sequence[str] = (),
        pictures: Sequence[Source] = (),
        minus: Sequence[str] = (),
        k: int = 12,
        *,
        minus_pictures: Sequence[Source] = (),
        only_matches: bool = False,
        folders: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        text: str | None = None,
    ) -> Checked[Found]:
        """The k best photos for all of the words and pictures, as `look` has them.

        What `minus` names or `minus_pictures` show is rather not wanted; `folders`, `since` and
        `until` are a Filter as people type it (`galago.album.filter_of`).
        """
        where = filter_of(folders, since, until)
        wants = [Want(words=one) for one in words] + [Want(picture=one) for one in pictures]
        wants += [Want(words=one, wanted=False) for one in minus]
        wants += [Want(picture=one, wanted=False) for one in minus_pictures]
        return self.look(wants, k, only_matches=only_matches, where=where, text=text)

    def look(
        self,
        wants: Sequence[Want],
        k: int = 12,
        *,
        only_matches: bool = False,
        where: Filter | None = None,
        text: str | None = None,
    ) -> Checked[Found]:
        """The k best photos, as Searcher.search orders and checks them.

        `text`: the words to look for in pictures' texts; None: those that are wanted, unless a
        picture is, too.  Without anything wanted, texts alone are searched.  The answer's `strange`
        are words that the model was never taught.  Raises ImageError for a picture that can't be
        read, OptionError, StorageError.
        """
        wanted = [want for want in wants if want.wanted]
        if text is None:
            pictured = any(want.picture is not None for want in wanted)
            text = "" if pictured else " ".join(want.words or "" for want in wanted)
        parts, strange = parts_of(wants, self._embedder, self._lock) if wanted else ([], [])
        hits = self._searcher.search(
            parts,
            k,
            only_matches=only_matches,
            where=where,
            text=text,
            not_text=[want.words for want in wants if not want.wanted and want.words],
        )
        if hits and all(hit.text is not None for hit in hits):  # its words stand there
            strange = []
        found = Checked[Found](left_out=hits.left_out, strange=strange)
        for hit in hits:
            number = self._searcher.number_of(hit.path)
            if number is not None:  # gone since
                found.append(Found(number=number, **vars(hit)))
        return found

    def sights(self, numbers: Sequence[int]) -> dict[int, list[str]]:
        """What photos probably show, a few words each, by their numbers; empty where none fits.

        Photos that the album doesn't have are left out.  Raises OptionError, StorageError.
        """
        there, rows = self._searcher.vectors(numbers)
        if not there:
            return {}
        with self._lock:  # the words are embedded once for a model, and kept
            named = self._embedder.embed_phrases([PHRASE.format(word) for word in words()])
        found = sights(rows, named)
        return {
            number: [words()[place] for place in places]
            for number, places in zip(there, found, strict=True)
        }

    def is_current(self) -> bool:
        """As Searcher.is_current."""
        return self._searcher.is_current()

    def photo(self, number: int) -> str | None:
        """The path of a photo by its number; None when the album has no such photo."""
        return self._searcher.photo(number)

    def number_of(self, path: str) -> int | None:
        """What `photo` knows this photo by; None for one that isn't in the album."""
        return self._searcher.number_of(path)

    def count(self) -> int:
        """How many photos can be found."""
        return self._searcher.count()

    def folders(self) -> list[str]:
        """The folders that hold photos, by name."""
        return self._searcher.folders()
