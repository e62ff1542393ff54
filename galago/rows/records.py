"""A record of somebody's file (a JSON object, a line of a table) -> a row.

Three ways of writing a talk are known: LLaVA's `conversations` of {from, value}, the `messages` of
{role, content} that chat APIs take, and flat columns: a picture, a question, an answer.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import OptionError
from galago.rows.rows import MARK, Photo, PhotoFile, Row, RowError, Rows, Turn
from galago.text.presets import PRESETS

__all__ = ["ABOUT_LABELS", "LABEL", "TALKS", "Columns", "Data", "Reading", "columns_of"]

ABOUT_LABELS = "What is this?"  # asked where data has labels and no questions

TALKS = {"conversations", "messages"}  # names that hold a talk: LLaVA's and the chat APIs'

_IMAGE = ("image", "images", "image_path", "file_name", "filename", "file", "path", "img",
          "picture", "photo")  # fmt: skip
_QUESTION = ("question", "query", "prompt", "instruction", "input")
_ANSWER = ("answer", "response", "output", "completion", "target")
_ANSWERS = "answers"  # several, each of them right: a list, or a text with | between them
_CAPTION = ("caption", "text", "description")
LABEL = ("label", "class", "category")
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
          "system": "system"}  # fmt: skip
_NEAR = 0.8  # of a mistyped name: "anwser" is 0.83 like "answer"
_REMOTE = ("http:", "https:", "data:", "s3:", "gs:", "hf:")


@dataclass(frozen=True)
class Data:
    """What was read of a place: its rows, one by one, and what is to be said about the reading.

    kind: the format in words; images: the folder that pictures are looked for in, "" where they
    are in the data itself; asks: whether the data has no questions and is given one.
    """

    path: str
    kind: str
    rows: Rows
    notes: tuple[str, ...] = ()
    images: str = ""
    asks: bool = False


@dataclass(frozen=True)
class Columns:
    """Which of a record's names hold what; question "" where none does and `asked` is asked."""

    image: str
    question: str
    answer: str
    asked: str = ""


def columns_of(
    names: Iterable[str], question: str | None = None, *, several: bool = False
) -> Columns:
    """The columns of flat records; `question` is asked where they have none, if it is given.

    several: `answers` is a column of answers, too.  OptionError where none has the usual name.
    """
    known = {name.strip().lower(): name for name in reversed([*names])}

    def first(usual: Sequence[str]) -> str:
        return next((known[name] for name in usual if name in known), "")

    image, asking = first(_IMAGE), first(_QUESTION)
    answers = (_ANSWERS, *_ANSWER) if several else _ANSWER
    answer = first(answers) or first(_CAPTION) or first(LABEL)
    if not answer and _ANSWERS in known:
        raise OptionError(
            "several right answers (answers) are for galago evaluate: to learn, name one answer"
        )
    if not answer:
        line = f"none of {_listed(known.values())} is an answer, caption or label"
        raise OptionError(line + _meant(known, (*answers, *_CAPTION, *LABEL)))
    asked = question
    if not asking and asked is None:
        kind = answer.strip().lower()
        asked = PRESETS["describe"] if kind in _CAPTION else ABOUT_LABELS
        if kind in answers:
            raise OptionError(
                f"none of {_listed(known.values())} is a question: name one question, or give one "
                f"that is asked about every picture{_meant(known, _QUESTION)}"
            )
    return Columns(image, asking, answer, "" if asking else asked or "")


@dataclass(frozen=True)
class Reading:
    """How the records of one place are read.

    images: the folder that their pictures are in.  question: asked where a record has none.
    several: an answer may be a list, of answers that are all right; who learns has to know one.
    """

    images: str
    question: str | None = None
    several: bool = False

    def columns(self, names: Iterable[str]) -> Columns:
        """As columns_of."""
        return columns_of(names, self.question, several=self.several)

    def row(
        self,
        record: object,
        where: str,
        photos: Sequence[Photo] | None = None,
        columns: Columns | None = None,
    ) -> Row:
        """The row of a record; RowError for what is none.

        photos: its pictures where they stand beside it, instead of those that it names.
        columns: those of a table, else the record's own names tell.
        """
        if not isinstance(record, Mapping):
            raise RowError(where, f"not an object but {_kind(record)}")
        name = "" if record.get("id") is None else str(record["id"])[:200]
        talk = next((key for key in sorted(TALKS) if key in record), None)
        if talk is not None:
            pictures = self._pictures(photos, record, ("image", "images"), where)
            system, turns = _turns(record[talk], where, talk)
            return Row(pictures, turns, where, system, name, (), record)
        if columns is None:
            try:
                columns = self.columns(map(str, record))
            except OptionError as error:
                raise RowError(where, str(error)) from None
        pictures = self._pictures(photos, record, (columns.image,), where)
        question = columns.asked
        if columns.question:
            question = _text(record.get(columns.question), where, columns.question)
        answers = self._answers(record.get(columns.answer), where, columns.answer)
        turns = (Turn(question, answers[0] if answers else ""),)
        return Row(pictures, turns, where, "", name, answers[1:] and answers, record)

    def _answers(self, value: object, where: str, column: str) -> tuple[str, ...]:
        """The answer, or all that are right."""
        if not self.several:
            return (_text(value, where, column),)
        if column.strip().lower() == _ANSWERS and isinstance(value, str):
            value = value.split("|")
        listed = value if isinstance(value, list) else [value]
        texts = (_text(one, where, column).strip() for one in listed)
        return tuple(dict.fromkeys(text for text in texts if text))

    def _pictures(
        self,
        photos: Sequence[Photo] | None,
        record: Mapping[str, Any],
        keys: Sequence[str],
        where: str,
    ) -> tuple[Photo, ...]:
        """Those given, else those that the record names by their files; none is fine."""
        if photos is not None:
            return tuple(photos)
        named = next((record[key] for key in keys if key and record.get(key)), None)
        found = []
        for one in named if isinstance(named, list) else [named] if named else []:
            path = one.get("path") if isinstance(one, Mapping) else one
            if not isinstance(path, str) or not path:
                raise RowError(where, f"a picture is named by {_kind(one)} and not by a path")
            if path.lower().startswith(_REMOTE):
                raise RowError(where, f"nothing is fetched: download {path} first")
            found.append(PhotoFile(path, os.path.join(self.images, path)))
        return tuple(found)


def _turns(talk: object, where: str, key: str) -> tuple[str, tuple[Turn, ...]]:
    """The system prompt and the turns of a list of messages of either form."""
    if not isinstance(talk, list):
        raise RowError(where, f"{key} is not a list but {_kind(talk)}")
    said = [_message(one, where, number) for number, one in enumerate(talk, 1)]
    system = said.pop(0)[1] if said and said[0][0] == "system" else ""
    first = len(talk) - len(said) + 1
    for number, (role, _) in enumerate(said):
        if role != ("assistant" if number % 2 else "user"):
            before = "begins with" if number == 0 else f"has at {number + first}"
            raise RowError(
                where, f"{key} {before} the {role}: question and answer take turns, question first"
            )
    if len(said) % 2:
        raise RowError(where, "its last question has no answer")
    pairs = zip(said[::2], said[1::2], strict=True)
    return system, tuple(Turn(asked, answer) for (_, asked), (_, answer) in pairs)


def _message(one: object, where: str, number: int) -> tuple[str, str]:
    """Who says what: (role, text)."""
    if not isinstance(one, Mapping):
        raise RowError(where, f"message {number} is not an object but {_kind(one)}")
    who = one.get("from", one.get("role"))
    role = _ROLES.get(who.lower()) if isinstance(who, str) else None
    if role is None:
        named = repr(who)[:40] if isinstance(who, str) else _kind(who)
        raise RowError(where, f"message {number} is from {named}: human and gpt take turns")
    value = one.get("value", one.get("content"))
    if isinstance(value, list):
        value = "".join(_part(part, where, number) for part in value)
    return role, _text(value, where, f"message {number}")


def _part(part: object, where: str, number: int) -> str:
    """A part of a chat API's content: a text, or a picture's place."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and kind in ("image", "image_url"):
        return f"{MARK}\n"
    if isinstance(part, Mapping) and kind == "text":
        return _text(part.get("text"), where, f"message {number}")
    raise RowError(where, f"message {number} has a part that is neither text nor an image")


def _text(value: object, where: str, what: str) -> str:
    """A text, or a number as one; RowError for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if value is None:
        return ""  # an empty answer or question, which Row.faults tells
    if not isinstance(value, str):
        raise RowError(where, f"{what} is not text but {_kind(value)}")
    return value


def _kind(value: object) -> str:
    """What a value is, in the words of JSON."""
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "nothing",
    }
    return names.get(type(value), type(value).__name__)


def _meant(known: Mapping[str, str], usual: Sequence[str]) -> str:
    """Which name of a column was mistyped, if one is near a usual one."""
    for name, written in known.items():
        if near := difflib.get_close_matches(name, usual, 1, _NEAR):
            return f"; is {written} meant as {near[0]}?"
    return ""


def _listed(names: Iterable[str]) -> str:
    """Names of columns, in the order they have in the file."""
    several = [*names][::-1]
    return ", ".join(several[:8]) + (", …" if len(several) > 8 else "") or "no columns"
