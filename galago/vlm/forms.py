"""What a reply must look like: JSON, JSON of a schema, a call of a function.

A form is data.  Its grammar is written for llguidance (https://github.com/guidance-ai/llguidance),
which `grammar` asks at every token what may come next.  JSON is written one way, as Python's
json.dumps does, so that no model loses itself in blanks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import MissingExtraError, OptionError
from galago.text.tools import CALL, call_head
from galago.vlm.schemas import bound_numbers, check_schema, schema_text, schema_words

__all__ = ["Form", "call_form", "json_form", "llguidance", "parser_limits"]

_WRITTEN = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "json_allowed_escapes": '"\\bfnrt',  # \\u could write half a character, which is no text
}
_VALUE = {"$ref": "#/$defs/value"}
_ANY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": _VALUE,
    "$defs": {
        "value": {
            "anyOf": [
                {"type": ["string", "boolean", "null"]},
                {"type": "number"},
                {"type": "array", "items": _VALUE},
                {"type": "object", "additionalProperties": _VALUE},
            ]
        }
    },
}
_NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
# Of one reply.  A step's work and memory end there: about 20 ms and 40 MB.
_LIMITS = {"initial_lexer_fuel": 1_000_000, "step_lexer_fuel": 200_000, "max_lexer_states": 20_000}


@dataclass(frozen=True)
class Form:
    """A grammar of replies, made by `json_form` or `call_form`; `words` explain it to the model."""

    grammar: str
    words: str = ""

    def asked(self, question: str) -> str:
        """A question, and behind it what the schema says in words."""
        return f"{question}\n{self.words}" if self.words else question


def json_form(schema: Mapping[str, Any] | None = None, description: str = "") -> Form:
    """The form of a JSON schema (https://json-schema.org/draft/2020-12); without one any object.

    Objects have the schema's fields in its order; numbers end (schemas.bound_numbers).  Raises OptionError, which names the keyword, for
    a schema that can't be held to; MissingExtraError without llguidance.
    """
    text = schema_text(_ANY if schema is None else schema)
    told = _checked(json.loads(text))
    words = [one for one in (description, "" if schema is None else schema_words(told)) if one]
    heading = "Answer in JSON."
    return _compiled(
        [{"name": "json", "json_schema": _as_written(told)}],
        "\n".join([heading, *words]) if words else "",
    )


def call_form(functions: Sequence[tuple[str, Mapping[str, Any] | None]], *, free: bool) -> Form:
    """The form of one call of a function, of (name, schema of its arguments).

    `free`: text instead of a call, or before it, is possible as well.  Raises as `json_form` does.
    """
    calls, grammars, length = [], [], 0
    for at, (name, schema) in enumerate(functions):
        text = schema_text(schema or _NOTHING)
        length += len(text)
        if length > _ALL:
            raise OptionError(f"the functions have more than {_ALL} characters; give fewer")
        try:
            arguments = _checked(json.loads(text))
        except OptionError as error:
            raise OptionError(f"the function {name}: {error}") from None
        head = call_head(name).removeprefix(CALL)
        calls.append(f"{json.dumps(head)} @arguments{at}")
        grammars.append({"name": f"arguments{at}", "json_schema": _as_written(arguments)})
    chosen = f"({' | '.join(calls)})"
    tag, line = CALL[:-1], CALL[-1:]
    if free:
        # The lazy one ends with the first tag, so text has none but before a call.
        rules = f"start: TEXT | opened {json.dumps(line)} {chosen}\n"
        rules += f"opened[lazy]: TEXT {json.dumps(tag)}\nTEXT: /(.|\\n)*/\n"
    else:
        rules = f"start: {json.dumps(CALL)} {chosen}\n"
    return _compiled([{"name": "calls", "lark_grammar": rules}, *grammars])


_ALL = 65_536  # characters of all functions' schemas


def _checked(schema: Any) -> Any:
    check_schema(schema)
    bound_numbers(schema)
    return schema


def _as_written(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "x-guidance": _WRITTEN}


def _compiled(grammars: list[dict[str, Any]], words: str = "") -> Form:
    grammar = json.dumps({"grammars": grammars}, ensure_ascii=False)
    engine = llguidance()
    try:
        refused, told = engine.LLMatcher.validate_grammar_with_warnings(
            grammar, limits=parser_limits()
        )
    except ValueError as error:
        refused, told = True, [str(error)]
    if refused or told:  # a warning, too, is something that isn't held to
        reason = " ".join(" ".join(told).split())[:200]
        raise OptionError(f"the JSON schema is not possible: {reason}")
    return Form(grammar, words)


def parser_limits() -> Any:
    return llguidance().LLParserLimits(**_LIMITS, verbose_errors=False)


def llguidance() -> Any:
    """The library; MissingExtraError with the line that installs it."""
    try:
        import llguidance as engine
    except ImportError:
        raise MissingExtraError(
            "answers in JSON need the package llguidance: pip install 'galago[structured]'"
        ) from None
    return engine
