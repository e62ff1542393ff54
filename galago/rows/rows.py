"""A row of somebody's data: pictures, and what is asked and answered about them.

Whatever file it came from, training sees rows of one shape.  Pictures are opened when they are
wanted and never held.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galago.disk import is_regular
from galago.errors import ImageError, OptionError
from galago.media.images import Source, load_square
from galago.media.preprocess import normalise
from galago.specs import ImageSpec
from galago.text.chat import ImageSlot, Message, user_message

__all__ = ["MARK", "Photo", "PhotoFile", "Row", "RowError", "Rows", "Turn"]

MARK = "<image>"  # where a picture stands in a question, as LLaVA's files write it
_LEADING = re.compile(rf"\s*(?:{MARK}\s*)+")
_HALF = re.compile("[\ud800-\udfff]")
_HEAD = 1 << 16  # bytes of a picture that tell it from others, with its size


class RowError(OptionError):
    """What is wrong with a row: `where` it stands ("train.json:17"), and `what` it is."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where, self.what = where, what

    def __reduce__(self) -> tuple[Any, ...]:  # it comes back from loading processes
        return RowError, (self.where, self.what)


@dataclass(frozen=True)
class Photo(ABC):
    """A picture that is opened when it is wanted; `name` says which in messages."""

    name: str

    @abstractmethod
    def source(self) -> Source:
        """What galago.media opens; ImageError where there is nothing."""

    @abstractmethod
    def head(self, count: int) -> tuple[bytes, int]:
        """Its first bytes, and how many it has; ImageError where there is nothing."""

    def square(self, spec: ImageSpec) -> NDArray[np.uint8]:
        """The picture as `FastVLM.prepare` makes it: uint8 (side, side, 3).  ImageError."""
        return load_square(self.source(), spec, name=self.name).pixels

    def pixel_values(self, spec: ImageSpec) -> NDArray[np.float32]:
        """As numbers, as `FastVLM.encode` has them: float32 (3, side, side).  ImageError."""
        return normalise(self.square(spec), spec)

    def digest(self) -> bytes:
        """16 bytes that copies of a picture have in common, of its beginning and its size.

        Others may share them once in a while: right for keeping copies together, not for telling
        pictures apart.  ImageError where there is nothing.
        """
        head, size = self.head(_HEAD)
        return blake2b(head + size.to_bytes(8, "little"), digest_size=16).digest()


@dataclass(frozen=True)
class PhotoFile(Photo):
    """A picture in a file of its own."""

    path: str

    def source(self) -> Source:
        self._check()
        return self.path

    def head(self, count: int) -> tuple[bytes, int]:
        self._check()
        try:
            with open(self.path, "rb") as file:
                return file.read(count), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise ImageError(f"{self.name} can't be read: {error.strerror}") from None

    def _check(self) -> None:
        """Pipes and devices have no place in data: they'd be waited for, every epoch."""
        if not os.path.lexists(self.path):
            raise ImageError(f"no such picture: {self.name}")
        if not is_regular(Path(self.path)):
            raise ImageError(f"{self.name} is not a file")


@dataclass(frozen=True)
class Turn:
    """A question and its answer; MARK in the question is the place of a picture."""

    question: str
    answer: str


@dataclass(frozen=True)
class Row:
    """Pictures, in the order of their marks, and the turns of a talk about them.

    Without any mark the pictures stand before the first question, as when galago is asked.  `where`
    is the row's place in its file ("train.json:17"); `name` what the file calls it, if anything;
    `system` takes the place of the model's system prompt unless it is empty.  `answers`: all that
    are right, where the last question has more than its turn's; `record`: the row as its file has
    it, with whatever else it says.
    """

    pictures: tuple[Photo, ...]
    turns: tuple[Turn, ...]
    where: str
    system: str = ""
    name: str = ""
    answers: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def faults(self) -> Iterator[str]:
        """What is wrong with the row as it stands, its pictures unopened."""
        if not self.turns:
            yield "it has no question"
        for number, turn in enumerate(self.turns, 1):
            which = f" {number}" if len(self.turns) > 1 else ""
            if not turn.question.replace(MARK, "").strip():
                yield f"question{which} is empty"
            if not turn.answer.strip():
                yield f"answer{which} is empty"
            if MARK in turn.answer:
                yield f"answer{which} has a {MARK}, and a model doesn't draw"
        if any(map(_HALF.search, self._texts())):
            yield "it has half a character (a lone surrogate) in a text"
        marks, pictures = self._marks(), len(self.pictures)
        if marks and marks != pictures:
            yield f"{_count(marks, MARK)} in its questions, {_count(pictures, 'picture')} to it"

    def messages(self) -> list[Message]:
        """The system prompt, if the row has one, and the questions as galago asks them.

        Marks that begin the row are followed by a line break each, as galago.text.chat writes
        them; others stay where they stand.  RowError for a row that has faults.
        """
        for fault in self.faults():
            raise RowError(self.where, fault)
        messages = [Message("system", (self.system,))] if self.system else []
        seen = 0
        for number, turn in enumerate(self.turns):
            asked = turn.question.strip()
            if number == 0 and not self._marks():
                messages.append(user_message(asked, len(self.pictures)))
                continue
            leading = _LEADING.match(asked) if number == 0 else None
            first = leading[0].count(MARK) if leading else 0
            parts = asked[leading.end() if leading else 0 :].split(MARK)
            message = user_message(parts[0], first)
            content = list(message.content)
            for at, part in enumerate(parts[1:], seen + first):
                content += [ImageSlot(at), part]
            seen += first + len(parts) - 1
            messages.append(Message("user", tuple(content)))
        return messages

    def talk(self) -> Iterator[Message]:
        """The talk up to the last question, with the answers before it as they should have been."""
        asked = self.messages()
        first = 1 if self.system else 0
        yield from asked[: first + 1]
        for question, turn in zip(asked[first + 1 :], self.turns, strict=False):
            yield Message("assistant", (turn.answer.strip(),))
            yield question

    def _texts(self) -> list[str]:
        turns = [text for turn in self.turns for text in (turn.question, turn.answer)]
        return [self.system, *turns]

    def _marks(self) -> int:
        return sum(turn.question.count(MARK) for turn in self.turns)


class Rows(Protocol):
    """Rows that are read one by one; RowError for one that is none."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Row: ...


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
