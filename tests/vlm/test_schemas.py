"""Schemas within bounds; what they tell; numbers and objects that end."""

from __future__ import annotations

from typing import Any

import pytest

from galago.errors import OptionError
from galago.vlm.schemas import (
    bound_numbers,
    check_schema,
    close_objects,
    schema_text,
    schema_words,
)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"properties": {"a": {"not": {}}}}, "'not' of a"),
        ({"type": "array", "uniqueItems": True}, "'uniqueItems'"),
        ({"type": "string", "nullable": True}, "'nullable'"),
        ({"x-guidance": {"lenient": True}}, "'x-guidance'"),
        ({"$ref": "http://example.com/schema"}, "nothing is fetched"),
        ({"type": "string", "pattern": "a" * 501}, "'pattern'"),
        ({"enum": list(range(1001))}, "'enum'"),
        ({"properties": {f"p{at}": {} for at in range(401)}}, "'properties'"),
        ({"type": "integer", "multipleOf": 999_983}, "'multipleOf'"),
        ({"type": "number", "multipleOf": 1.00001}, "'multipleOf'"),
        ({"const": "x" * 1001}, "longer than 1000"),
        ({"properties": {"x" * 1001: {}}}, "longer than 1000"),
        ({"anyOf": [{"type": "null"}] * 257}, "257 branches"),
        ({"allOf": [{"pattern": f"a{at}"} for at in range(9)]}, "9 of pattern"),
        ({"$defs": {"a": {"$ref": "#", "pattern": "a"}}, "items": {"allOf": []}}, ""),
        (nested(40), "nested"),
    ],
)
def test_what_is_out_of_bounds_is_named(schema: dict[str, Any], told: str) -> None:
    if not told:
        return check_schema(schema)
    with pytest.raises(OptionError, match=told):
        check_schema(schema)


@pytest.mark.parametrize(
    "schema", [[], "string", None, True, {"a": float("nan")}, {"a": {1, 2}}, {"a": "\ud800"}]
)
def test_what_is_no_json_is_refused(schema: Any) -> None:
    with pytest.raises(OptionError, match="JSON schema"):
        schema_text(schema)


def test_a_long_schema_is_refused() -> None:
    with pytest.raises(OptionError, match="65536"):
        schema_text({"description": "x" * 65_536})


def test_descriptions_are_told_by_their_places() -> None:
    schema = {
        "description": "A card.",
        "properties": {
            "name": {"type": "string", "description": "in  full"},
            "home": {"properties": {"town": {"description": "where"}}},
            "seen": {"type": "array", "items": {"description": "one thing"}},
        },
    }
    assert schema_words(schema).splitlines() == [
        *("A card.", "name: in full", "home.town: where", "seen: one thing")
    ]
    assert schema_words({"type": "string", "title": "Name"}) == ""


def test_numbers_end_where_the_schema_lets_them_run() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "count": {"type": "integer", "minimum": 0},
            "share": {"type": "number"},
            "tiny": {"type": "number", "maximum": 1e-7, "minimum": 0},
            "fixed": {"type": "number", "enum": [1e-9]},
        }
    }
    bound_numbers(schema)
    count, share, tiny, fixed = schema["properties"].values()
    assert count == {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
    assert share["minimum"] == -share["maximum"] and share["multipleOf"] == 1e-6
    assert "multipleOf" not in tiny and fixed == {"type": "number", "enum": [1e-9]}


def test_objects_are_closed_unless_others_may_name_fields() -> None:
    person: dict[str, Any] = {"properties": {"a": {}}, "required": ["a"]}
    close_objects(person)
    assert person["additionalProperties"] is False
    for open_one in (
        {"properties": {"a": {}}, "required": ["b"]},
        {"properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "anyOf": [{"required": ["b"]}]},
        {"type": "object"},
    ):
        before = repr(open_one)
        close_objects(open_one)
        assert repr(open_one) == before
