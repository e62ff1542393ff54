"""Queries that aren't English, for `search`, `serve` and `mcp`: who translates, what is told.

A FastVLM that is here and ready puts them into English; the embedded one was never taught to.
Without one Chinese is read word by word (galago/text/queries.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from galago import catalog
from galago.cli.options import Opening
from galago.cli.query import Asked
from galago.cli.terminal import say
from galago.errors import GalagoError, ModelError
from galago.text.languages import needs_english
from galago.text.queries import Query, Translate, as_typed, read, searched_for
from galago.text.visible import visible

if TYPE_CHECKING:
    from galago.album import Want
    from galago.clip.mobileclip import MobileCLIP
    from galago.vlm.fastvlm import FastVLM

__all__ = [
    "Spoken",
    "in_english",
    "loaded_translator",
    "lookup_translator",
    "read_all",
    "remarked",
    "tell",
]


@dataclass(frozen=True)
class Spoken:
    """The parts of a query as the model reads them.

    `typed`: the wanted words as they were typed, where the parts have others; `told`: what is said
    of it in records, by field.
    """

    parts: Sequence[Asked]
    typed: str | None = None
    told: dict[str, str] = field(default_factory=dict)

    def wants(self) -> list[Want]:
        """The same for an album or a table; a picture by its path, ~ as the shell has it."""
        from galago.album import Want

        return [
            Want(
                words=None if part.picture else part.text,
                picture=Path(os.path.expanduser(part.text)) if part.picture else None,
                wanted=part.wanted,
                weight=part.weight,
            )
            for part in self.parts
        ]


def in_english(
    asked: Sequence[Asked], clip: MobileCLIP, opening: Opening, *, as_is: bool
) -> Spoken:
    """The query for this model; what is searched for, and what isn't read, is said on stderr."""
    words = [part for part in asked if not part.picture]
    queries = read_all([part.text for part in words], clip.name, opening, as_is=as_is)
    pairs = list(zip(words, queries, strict=True))
    wanted = [query for part, query in pairs if part.wanted]
    instead = searched_for(wanted, [query for part, query in pairs if not part.wanted])
    texts = iter(queries)
    parts = [part if part.picture else replace(part, text=next(texts).text) for part in asked]
    limit = clip.spec.text.context
    cut = not all(clip.fits(query.text) for query in queries)
    long = [f"the model reads {limit} tokens of a query; the end of yours is left out"] * cut
    notes = [*long, *tell(queries, instead)]
    for note in notes:
        say(f"note: {note}")
    told = {"searched_for": instead, "note": "; ".join(notes)}
    pictured = any(part.picture and part.wanted for part in asked)
    typed = None if instead is None or pictured else " ".join(query.typed for query in wanted)
    return Spoken(parts, typed, {name: text for name, text in told.items() if text})


def remarked(spoken: Spoken, note: str) -> Spoken:
    """With one more note; it is said on stderr."""
    say(f"note: {note}")
    notes = [spoken.told["note"]] if "note" in spoken.told else []
    return replace(spoken, told={**spoken.told, "note": "; ".join([*notes, note])})


def read_all(
    texts: Sequence[str], model: str, opening: Opening, *, as_is: bool = False
) -> list[Query]:
    """The queries for a MobileCLIP of this name; a translator is only looked for if needed."""
    if as_is:
        return [as_typed(text, model) for text in texts]
    foreign = any(map(needs_english, texts))
    translate = lookup_translator(opening) if foreign else None
    return [read(text, model, translate) for text in texts]


def lookup_translator(
    opening: Opening, load: Callable[[], FastVLM] | None = None
) -> Translate | None:
    """The translator of the FastVLM that is meant, opened when it is needed; None when that is the
    embedded one.  The smallest of those that are here, as it is loaded for one line; with `load`,
    which opens the one that answers, that one."""
    from galago.convert.choice import choose_fastvlm

    try:
        choice = choose_fastvlm(opening.precision, quickest=load is None)
        name = opening.model or choice.name
        if _never_taught(name):
            return _too_large(choice.skipped) if choice.skipped and not opening.model else None
        made_by = _conversion(name, opening.precision)
    except GalagoError as error:  # what is told of it is the reason why nothing was translated
        return _refusing(str(error))
    if made_by is None:  # fetching or converting takes minutes
        return _refusing(f"{name} would translate the query, but isn't ready: galago pull {name}")
    from galago.vlm.translate import Translator

    own = Opening(
        name, precision=opening.precision, threads=opening.threads, offline=opening.offline
    )
    return Translator(name, made_by, load or own.load)


def _conversion(name: str, precision: str) -> str | None:
    """What tells a model's conversion from others; None where it would have to be made first."""
    from galago.checkpoints.folders import MANIFEST
    from galago.convert.folder import is_converted
    from galago.convert.store import ready
    from galago.places import as_path

    folder = as_path(name)
    if folder.is_dir() and is_converted(folder):
        return f"{folder.resolve()} {(folder / MANIFEST).stat().st_mtime_ns}"
    entry = ready(name, precision)
    return None if entry is None else entry.folder.name


def loaded_translator(vlm: FastVLM) -> Translate | None:
    """The translator of a FastVLM that is open; None for the embedded one."""
    from galago.vlm.translate import Translator

    if _never_taught(vlm.name):
        return None
    return Translator(vlm.name, f"{vlm.name} {vlm.identity} {vlm.weights}", lambda: vlm)


def tell(queries: Sequence[Query], told: str | None) -> list[str]:
    """The notes of queries, each once; said on stderr with what is searched for."""
    if told is not None:
        rough = " (word by word)" if any(query.rough for query in queries) else ""
        say(f"searched for: {visible(told)}{rough}")
    return list(dict.fromkeys(note for query in queries for note in query.notes))


def _never_taught(name: str) -> bool:
    row = catalog.find(name)
    return row is not None and row.name == name and row.embedded


def _too_large(names: Sequence[str]) -> Translate:
    return _refusing(f"{', '.join(names)} would not fit the free memory to translate the query")


def _refusing(reason: str) -> Translate:
    def refuse(text: str) -> str:
        raise ModelError(reason)

    return refuse
