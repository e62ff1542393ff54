"""What is searched for: a query as it was typed, or in English for a model that reads English only.

A translator (galago/vlm/translate.py), where there is one, is asked first; of Chinese the word list
(galago/text/chinese.py) makes what it can; else the query stays, with a note that says what it is
worth. Whatever is searched for instead of what was typed is to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from galago.errors import GalagoError
from galago.text.languages import language_note, needs_english
from galago.text.visible import visible

__all__ = ["Query", "Translate", "as_typed", "read", "searched_for"]

Translate = Callable[[str], str]  # to English; raises GalagoError


@dataclass(frozen=True)
class Query:
    """`typed` by a person, `text` for the model; `notes` for people.

    `rough`: made word by word.  `understood`: not so where the model reads letters that it was
    never taught, and what it finds is chance.
    """

    typed: str
    text: str
    notes: tuple[str, ...] = ()
    rough: bool = False
    understood: bool = True


def read(text: str, model: str, translate: Translate | None = None) -> Query:
    """A query for a model of this name."""
    if not needs_english(text):
        return Query(text, text)
    notes: list[str] = []
    if translate is not None:
        try:
            return Query(text, translate(text))
        except GalagoError as error:
            notes.append(str(error))
    from galago.text.chinese import word_by_word

    found = word_by_word(text)
    if found is not None:
        if found.unknown:
            left_out = ", ".join(f"“{visible(part[:40])}”" for part in found.unknown[:5])
            notes.append(f"not understood and left out of the query: {left_out}")
        return Query(text, found.text, tuple(notes), rough=True)
    kept = as_typed(text, model)
    return Query(text, text, (*notes, *kept.notes), understood=kept.understood)


def as_typed(text: str, model: str) -> Query:
    """A query as it is, with a note where the model can't read it."""
    note = language_note([text], model)
    return Query(text, text, () if note is None else (note,), understood=note is None)


def searched_for(wanted: Sequence[Query], unwanted: Sequence[Query] = ()) -> str | None:
    """What is searched for in the place of what was typed, "a red dress − people"; None where that
    is the same."""
    if all(query.text == query.typed for query in (*wanted, *unwanted)):
        return None
    plus = " + ".join(query.text for query in wanted)
    return " ".join(filter(None, [plus, *(f"− {query.text}" for query in unwanted)]))
