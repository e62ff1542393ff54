"""Answers in JSON of a person's schema: read from a file, and never shown unless they are whole."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli.questions import Answer, Question, why_not_whole
from galago.cli.terminal import complain
from galago.disk import read_regular
from galago.errors import OptionError, UnfinishedError
from galago.places import as_path

if TYPE_CHECKING:
    from galago.vlm.sampling import SamplingOptions

__all__ = ["Formed", "SchemaFile", "in_form"]

_MOST = 1 << 20  # bytes; a schema of 65,536 characters is all that is taken

SchemaFile = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        help="Answer in JSON of this JSON Schema: valid, which isn't yet true.",
    ),
]


def in_form(options: SamplingOptions, schema: str | None) -> SamplingOptions:
    """The options with the form that a file asks for; OptionError for one that can't be held to."""
    if schema is None:
        return options
    from galago.vlm.forms import json_form

    if options.stop:
        raise OptionError("--stop would cut the JSON of --schema: leave one of them out")
    return replace(options, form=json_form(_read(schema)))


def _read(name: str) -> Any:
    path = as_path(name)
    if not os.path.lexists(path):
        raise OptionError(f"there is no file {name}: --schema takes a JSON Schema")
    try:
        return json.loads(read_regular(path, _MOST).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise OptionError(f"{name} can't be read as a JSON Schema ({reason})") from None


@dataclass
class Formed:
    """Answers in JSON as values, and how many of them weren't whole."""

    question: Question
    lone: bool
    answers: int = 0
    cut: int = field(default=0)

    def value(self, answer: Answer) -> tuple[Any, str | None]:
        """What the JSON holds and None; or None, and why it is no whole JSON."""
        self.answers += 1
        why = None
        if answer.last is not None:
            why = why_not_whole(answer.last, self.question.options)
        if why is None:
            try:
                return json.loads(answer.text), None
            except (ValueError, RecursionError):
                why = "the answer was broken off"
        self.cut += 1
        return None, why

    def tell(self, why: str, head: str) -> None:
        """That an answer isn't shown; of a lone one UnfinishedError, which ends all."""
        line = f"{head}no whole JSON: {why}"
        if self.lone:
            raise UnfinishedError(line)
        complain(line)

    def code(self, code: int) -> int:
        """The exit code: 2 when no answer was whole, 1 when some weren't."""
        if not self.cut:
            return code
        return 2 if self.cut == self.answers else max(code, 1)
