"""The words of a search, as the model that finds pictures reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from galago.server.parts import Parts
from galago.text.queries import Query, as_typed, read, searched_for

__all__ = ["Spoken", "in_english"]


@dataclass(frozen=True)
class Spoken:
    """What is searched for; `instead` tells it where that isn't what was asked for."""

    words: list[str]
    minus: list[str]
    instead: str | None
    notes: list[str]


def in_english(
    parts: Parts, model: str, words: Sequence[str], minus: Sequence[str], as_is: bool
) -> Spoken:
    """Words for a MobileCLIP of this name, put into English where they need it, unless `as_is`."""

    def one(text: str) -> Query:
        return as_typed(text, model) if as_is else read(text, model, parts.translate)

    wanted, unwanted = [one(text) for text in words], [one(text) for text in minus]
    notes = dict.fromkeys(note for query in (*wanted, *unwanted) for note in query.notes)
    return Spoken(
        [query.text for query in wanted],
        [query.text for query in unwanted],
        searched_for(wanted, unwanted),
        list(notes),
    )
