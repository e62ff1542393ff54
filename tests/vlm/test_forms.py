"""Forms: what they are made of, and what they refuse."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from galago.errors import MissingExtraError, OptionError
from galago.vlm.forms import call_form, json_form

pytest.importorskip("llguidance")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"type": "string", "format": "colour"}, "Unknown format: colour"),
        ({"type": "strnig"}, "strnig"),
        ({"$ref": "#/$defs/b"}, "defs/b"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "minItems"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "oneOf"),
        ({"properties": {"a": 5}}, "object or boolean"),
    ],
)
def test_what_the_library_cannot_hold_to_is_refused(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        json_form(schema)
    with pytest.raises(OptionError, match=r"the function look: .*|not possible"):
        call_form([("look", schema)], free=False)


def test_a_question_is_followed_by_what_the_schema_says() -> None:
    plain = json_form({"type": "object", "properties": {"a": {"type": "string"}}})
    assert plain.asked("Who?") == "Who?"
    told = json_form({"properties": {"a": {"type": "string", "description": "a name"}}}, "A card.")
    assert told.asked("Who?") == "Who?\nAnswer in JSON.\nA card.\na: a name"


def test_functions_are_bounded_together() -> None:
    large = {"type": "object", "description": "x" * 40_000}
    with pytest.raises(OptionError, match="65536"):
        call_form([("a", large), ("b", large)], free=True)


def test_without_the_library_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match="extra structured: .*llguidance"):
        json_form({"type": "object"})
