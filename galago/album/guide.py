"""An open album and the model that made it: words and pictures in, photos out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from galago.album.embedder import Embedder
from galago.album.match import is_close
from galago.album.present import Checked
from galago.album.search import Part, Searcher
from galago.album.sights import PHRASE, sights, words
from galago.media.images import Source

__all__ = ["Found", "Guide"]


@dataclass(frozen=True)
class Found:
    """A photo found: its number in the album, and the rest as in galago.album.Hit."""

    path: str
    number: int
    score: float
    match: bool
    strength: float
    copies: tuple[str, ...] = ()

    @property
    def close(self) -> bool:
        """Whether it matches far better than it must (galago/album/match.py)."""
        return self.match and is_close(self.strength)


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
    ) -> Checked[Found]:
        """The k best photos for all of the words and pictures, as Searcher.search orders and
        checks them.

        What `minus` names or `minus_pictures` show is rather not wanted.  The answer's `strange`
        are words that the model was never taught.  Raises ImageError for a
        picture that can't be read, OptionError, StorageError.
        """
        # Decoded before the model is taken: others may use it meanwhile.
        prepared = [self._embedder.prepare(one) for one in (*pictures, *minus_pictures)]
        texts = [*words, *minus]
        with self._lock:
            rows = list(self._embedder.embed_texts(texts)) if texts else []
            seen = [self._embedder.embed_pixels(pixels[None])[0] for pixels in prepared]
        strange = self._embedder.strange(texts, np.stack(rows)) if rows else []
        parts = [Part(row, "words", at < len(words)) for at, row in enumerate(rows)]
        parts += [Part(row, "picture", at < len(pictures)) for at, row in enumerate(seen)]
        hits = self._searcher.search(parts, k, only_matches=only_matches)
        found = Checked[Found](left_out=hits.left_out, strange=strange)
        for hit in hits:
            number = self._searcher.number_of(hit.path)
            if number is not None:  # gone since
                found.append(
                    Found(hit.path, number, hit.score, hit.match, hit.strength, hit.copies)
                )
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

    def count(self) -> int:
        """How many photos can be found."""
        return self._searcher.count()
