"""A JSON schema before it is compiled: within bounds, without what can't be held; what it tells.

A schema comes from strangers, too, and its compiler can't be interrupted.  Within these bounds it
was seen to answer in a fraction of a second, whatever the schema.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from galago.errors import OptionError

__all__ = ["bound_numbers", "check_schema", "close_objects", "schema_text", "schema_words"]

_CHARACTERS = 65_536  # of the schema as JSON
_DEPTH = 32
_PROPERTIES = 400  # of one object; the parser holds 2,000 places at once
_VALUES = 1000  # of one enum
_LETTERS = 1000  # of a text that is forced upon the model, byte by byte
_PATTERN = 500
_MULTIPLE = 10_000  # each whole number below is a state
_JOINED = 8  # patterns, where they may have to hold at the same time
_BRANCHES = 256  # of anyOf, oneOf and allOf; each is compared with each
_WORDS = 4000  # characters told to the model

_WHOLE = 2**53 - 1  # to which every reader of JSON is exact (RFC 8259, section 6)
_FINEST = 1e-6
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

_NOT_POSSIBLE = {
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems"),
    *("propertyNames", "dependencies", "dependentRequired", "dependentSchemas"),
    *("unevaluatedItems", "unevaluatedProperties", "nullable"),
    *("$dynamicRef", "$recursiveRef", "x-guidance"),
}
_JOINABLE = ("pattern", "format", "multipleOf")
# Where schemas stand: in a value, in a list of them, in an object of them.
_INSIDE = ("items", "additionalProperties", "additionalItems")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")


def schema_text(schema: object) -> str:
    """A schema as JSON; OptionError for what is none, or is too long."""
    if not isinstance(schema, Mapping):
        raise OptionError(
            f'a JSON schema is an object such as {{"type": "object"}}, not {_kind(schema)}'
        )
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:100]
        raise OptionError(f"the JSON schema can't be written as JSON ({told})") from None
    if len(text) > _CHARACTERS:
        raise OptionError(
            f"the JSON schema has {len(text)} characters: {_CHARACTERS} are possible; simplify it"
        )
    return text


def check_schema(schema: Mapping[str, Any]) -> None:
    """OptionError that names the keyword, for a schema beyond what can be held."""
    joined, patterns, branches = False, 0, 0
    for place, one, depth in _walk(schema):
        if depth > _DEPTH:
            raise OptionError(f"the JSON schema is nested more than {_DEPTH} deep; simplify it")
        _check_keywords(one, place)
        patterns += sum(word in one for word in _JOINABLE)
        patterns += len(_mapping(one, "patternProperties"))
        branches += sum(len(one[word]) for word in _LISTS[:3] if isinstance(one.get(word), list))
        aside = "$ref" in one and any(word in one for word in _JOINABLE)
        joined = joined or aside or "allOf" in one or "patternProperties" in one
    if branches > _BRANCHES:
        raise OptionError(
            f"the JSON schema has {branches} branches of anyOf, oneOf and allOf: {_BRANCHES} are "
            "possible; simplify it"
        )
    if joined and patterns > _JOINED:
        raise OptionError(
            f"the JSON schema has {patterns} of pattern, format and multipleOf beside allOf or "
            f"patternProperties: {_JOINED} are possible; leave allOf out"
        )


def close_objects(schema: dict[str, Any]) -> None:
    """Let objects with named fields have no others, unless their schema speaks of others.

    In place.  What fits that fits the schema as it was; a model that has lost its way would invent
    fields for ever.
    """
    every = [one for _, one, _ in _walk(schema)]
    joins = ("$ref", "anyOf", "oneOf")
    if any(
        "allOf" in one or ("properties" in one and any(word in one for word in joins))
        for one in every
    ):
        return  # fields of one object may be named in several places
    for one in every:
        assert isinstance(one, dict)
        named, needed = one.get("properties"), one.get("required", [])
        others = ("additionalProperties", "patternProperties", "minProperties")
        if not isinstance(named, Mapping) or any(word in one for word in others):
            continue
        if isinstance(needed, list) and all(name in named for name in needed):
            one["additionalProperties"] = False


def bound_numbers(schema: dict[str, Any]) -> None:
    """Let numbers end: a model that has lost its way writes digits for ever.

    In place, where the schema has no bounds of its own: up to 2^53 - 1, six digits behind the
    point.  What fits that fits the schema as it was.
    """
    for _, one, _ in _walk(schema):
        assert isinstance(one, dict)
        kinds = one.get("type")
        kinds = set(kinds) if isinstance(kinds, list) else {kinds}
        others = ("enum", "const", "$ref", "anyOf", "oneOf", "allOf")
        if not kinds & {"integer", "number"} or any(word in one for word in others):
            continue
        bounds = [one[word] for word in _BOUNDS if word in one]
        if not all(_is_number(bound) and abs(bound) < _WHOLE for bound in bounds):
            continue
        if "minimum" not in one and "exclusiveMinimum" not in one:
            one["minimum"] = -_WHOLE
        if "maximum" not in one and "exclusiveMaximum" not in one:
            one["maximum"] = _WHOLE
        coarse = all(bound == 0 or abs(bound) >= 1000 * _FINEST for bound in bounds)
        if "number" in kinds and "multipleOf" not in one and coarse:
            one["multipleOf"] = _FINEST


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def schema_words(schema: Mapping[str, Any]) -> str:
    """What a schema says in words, for the model: its descriptions, each behind its field's name.

    Empty when it has none.
    """
    lines: list[str] = []
    for place, one, _ in _walk(schema, ("$defs", "definitions")):
        words = one.get("description")
        if isinstance(words, str) and words.strip():
            said = " ".join(words.split())
            lines.append(f"{place}: {said}" if place else said)
    told = "\n".join(lines)
    return told if len(told) <= _WORDS else told[:_WORDS].rpartition("\n")[0]


def _walk(
    schema: Mapping[str, Any], without: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[str, Any], int]]:
    """Each schema in a schema: its place as fields' names, itself, and its depth."""
    waiting: list[tuple[str, Any, int]] = [("", schema, 1)]
    while waiting:
        place, one, depth = waiting.pop()
        if not isinstance(one, Mapping):
            continue  # true and false; what is no schema at all the compiler refuses
        yield place, one, depth
        if depth > _DEPTH:
            continue
        inside = [(place, one[word], depth + 1) for word in _INSIDE if word in one]
        for word in _LISTS:
            several = one.get(word)
            if isinstance(several, (list, tuple)):
                inside += [(place, each, depth + 1) for each in several]
        for word in _NAMED:
            if word not in without:
                inside += [
                    (f"{place}.{name}".lstrip("."), each, depth + 1)
                    for name, each in _mapping(one, word).items()
                ]
        waiting += reversed(inside)


def _check_keywords(one: Mapping[str, Any], place: str) -> None:
    where = f" of {place[:60]}" if place else ""
    for word in one:
        if word in _NOT_POSSIBLE and one[word] is not False:
            raise OptionError(f"{word!r}{where} in the JSON schema is not possible: leave it out")
    reference = one.get("$ref", "#")
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise OptionError(
            f"'$ref'{where} in the JSON schema must point into it (#/$defs/…): nothing is fetched"
        )
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        "pattern": (lambda text: len(str(text)) <= _PATTERN, f"at most {_PATTERN} characters"),
        "enum": (
            lambda values: not isinstance(values, list) or len(values) <= _VALUES,
            f"at most {_VALUES} values",
        ),
        "properties": (
            lambda named: not isinstance(named, Mapping) or len(named) <= _PROPERTIES,
            f"at most {_PROPERTIES}",
        ),
        "multipleOf": (_countable, f"at most {_MULTIPLE}, with as few digits"),
    }
    for word, (possible, told) in checks.items():
        if word in one and not possible(one[word]):
            raise OptionError(f"{word!r}{where} in the JSON schema: {told}")
    forced = [*_mapping(one, "properties"), *_strings(one.get("enum")), *_strings(one.get("const"))]
    if any(len(text) > _LETTERS for text in forced):
        raise OptionError(
            f"a name or value{where} in the JSON schema is longer than {_LETTERS} characters"
        )


def _countable(multiple: Any) -> bool:
    if not _is_number(multiple):
        return True  # the compiler complains
    if not 0 < multiple <= _MULTIPLE or not math.isfinite(multiple):
        return False
    digits = f"{multiple:.12f}".rstrip("0").replace(".", "").lstrip("0")
    return int(digits or "0") <= _MULTIPLE


def _strings(value: Any) -> Iterator[str]:
    """Every text in a value."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, (list, tuple)):
            waiting += one


def _mapping(one: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    found = one.get(word)
    return found if isinstance(found, Mapping) else {}


def _kind(value: object) -> str:
    kinds = {str: "a text", bool: "true or false", int: "a number", list: "a list"}
    return kinds.get(type(value), type(value).__name__)
