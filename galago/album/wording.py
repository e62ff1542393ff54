"""Photos by words that stand in them or were said of them: which, and the line that says so."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from galago.album.store import Store
from galago.album.texts import BEGINNING, RUN, TextKind, Written, find, is_cjk

__all__ = ["Quote", "Quotes", "fused", "quoted"]

_AROUND = 40  # letters of an excerpt before the first word that was looked for, and behind it
_LONGEST = 120  # letters of an excerpt
_SOFTENED = 60  # as Cormack et al. have it, see `fused`


@dataclass(frozen=True)
class Quote:
    """Why a photo was found: the words around those looked for, on one line."""

    text: str
    kind: TextKind


@dataclass
class Quotes:
    """Rows found by their words, the best first: those with the whole words, those with longer ones
    that begin so ("category" for "cat")."""

    whole: dict[int, Quote] = field(default_factory=dict)
    begun: dict[int, Quote] = field(default_factory=dict)

    def of(self, row: int) -> Quote | None:
        return self.whole.get(row) or self.begun.get(row)


def quoted(
    store: Store,
    query: str,
    without: Sequence[str],
    passing: Collection[int] | None,
    enough: int,
) -> Quotes:
    """Rows whose texts have all words of the query and none of `without` all of its words.

    `passing`: the rows that count; as many of them as are `enough`, if there are.
    """
    limit = enough
    while True:
        written = find(store, query, limit)
        found = [one for one in written if passing is None or one.row in passing]
        if len(found) >= enough or len(written) < limit:
            break
        limit *= 8  # what doesn't count must not hide what does
    for words in without:
        # A row is out by any of its texts.
        out = {one.row for one in find(store, words, 1 << 30)}
        found = [one for one in found if one.row not in out]
    return _sorted(found, query)


def fused(texts: Iterable[int], looks: Iterable[int]) -> list[int]:
    """Two rankings as one: they take turns, the texts' first, and what is in both rises.

    Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009,
    https://doi.org/10.1145/1571941.1572114): numbers of two kinds need not be compared.
    """
    worth: dict[int, float] = {}
    for ranking in (texts, looks):
        for place, row in enumerate(ranking):
            worth[row] = worth.get(row, 0.0) + 1 / (_SOFTENED + place)
    return sorted(worth, key=lambda row: -worth[row])


def _sorted(found: Iterable[Written], query: str) -> Quotes:
    asked = [_folded(run) for run in RUN.findall(unicodedata.normalize("NFKC", query))]
    quotes = Quotes()
    for one in found:
        if one.row in quotes.whole:
            continue
        text = unicodedata.normalize("NFC", one.text)
        words = [(_folded(run[0]), run.start()) for run in RUN.finditer(text)]
        whole = {word for word, _ in words}
        places = [place for word, place in words if any(_is_of(word, one) for one in asked)]
        quote = Quote(_excerpt(text, min(places, default=0)), one.kind)
        if all(is_cjk(one) or one in whole for one in asked):
            quotes.whole[one.row] = quote
            quotes.begun.pop(one.row, None)
        else:
            quotes.begun.setdefault(one.row, quote)
    return quotes


def _is_of(word: str, asked: str) -> bool:
    """Whether a word of a text is what the index found for one that was asked for."""
    if is_cjk(asked):
        return asked in word
    return word == asked or (len(asked) >= BEGINNING and word.startswith(asked))


def _excerpt(text: str, place: int) -> str:
    """A line of a text around a place in it."""
    start = max(0, place - _AROUND)
    if start and (blank := text.find(" ", start, place)) >= 0:
        start = blank + 1
    line = " ".join(text[start : place + 2 * _LONGEST].split())
    cut = len(line) > _LONGEST or place + 2 * _LONGEST < len(text)
    if len(line) > _LONGEST:
        line = line[:_LONGEST]
        line = line[: line.rfind(" ")] if " " in line[_AROUND:] else line
    return ("…" if start else "") + line + ("…" if cut else "")


def _folded(word: str) -> str:
    """As the index compares: without accents, small, of one width."""
    apart = unicodedata.normalize("NFKD", word)
    return "".join(one for one in apart if not unicodedata.combining(one)).casefold()
