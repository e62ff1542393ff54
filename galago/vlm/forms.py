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
from galago.vlm.schemas import (
    bound_numbers,
    check_schema,
    close_objects,
    schema_text,
    schema_words,
)

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

    Objects have the schema's fields in its order, and others only where it speaks of them; numbers
    end (schemas.close_objects, bound_numbers).  Raises OptionError, which names the keyword, for a
    schema that can't be held to; MissingExtraError without llguidance.
    """
    named = _named("json", _ANY if schema is None else schema)
    words = [one for one in (description, schema_words(schema or {})) if one]
    told = "\n".join(["Answer in JSON.", *words]) if words else ""
    return _compiled([named], told)


def call_form(
    functions: Sequence[tuple[str, Mapping[str, Any] | None]],
    *,
    free: bool,
    answer: Mapping[str, Any] | None = None,
) -> Form:
    """The form of one call of a function, of (name, schema of its arguments).

    `free`: text instead of a call, or before it, is possible as well; or, with `answer`, JSON of
    that schema ({}: any object) instead.  Raises as `json_form` does.
    """
    calls, grammars = [], []
    schemas = [schema or _NOTHING for _, schema in functions]
    if sum(len(schema_text(schema)) for schema in schemas) > _ALL:
        raise OptionError(f"the functions have more than {_ALL} characters; give fewer")
    for at, (name, _) in enumerate(functions):
        try:
            grammars.append(_named(f"arguments{at}", schemas[at]))
        except OptionError as error:
            raise OptionError(f"the function {name}: {error}") from None
        calls.append(f"{json.dumps(call_head(name).removeprefix(CALL))} @arguments{at}")
    chosen = f"({' | '.join(calls)})"
    if free and answer is None:
        # The lazy one ends with the first tag, so text has none but before a call.
        tag, line = CALL[:-1], CALL[-1:]
        rules = f"start: TEXT | opened {json.dumps(line)} {chosen}\n"
        rules += f"opened[lazy]: TEXT {json.dumps(tag)}\nTEXT: /(.|\\n)*/\n"
    else:
        rules = f"start: {json.dumps(CALL)} {chosen}"
        if free:
            rules += " | @answer"
            grammars.append(_named("answer", answer or _ANY))
    return _compiled([{"name": "calls", "lark_grammar": rules}, *grammars])


_ALL = 65_536  # characters of all functions' schemas


def _named(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A grammar of its own for a schema; OptionError for one that is not possible."""
    own: dict[str, Any] = json.loads(schema_text(schema))
    check_schema(own)
    bound_numbers(own)
    close_objects(own)
    return {"name": name, "json_schema": {**own, "x-guidance": _WRITTEN}}


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
            "answers in JSON need the package llguidance", "structured"
        ) from None
    return engine
