"""Functions as Qwen2's template tells them."""

from __future__ import annotations

import json

from galago.text.tools import CALL, call_head, called, response, tools_told


def test_functions_are_told_a_line_each() -> None:
    look = {"name": "look", "description": "Looks — at it.", "parameters": {"type": "object"}}
    told = tools_told([look, {"name": "wait"}])
    inside = told.partition("<tools>\n")[2].partition("\n</tools>")[0].splitlines()
    assert [json.loads(line)["function"]["name"] for line in inside] == ["look", "wait"]
    assert "Looks — at it." in told
    assert tools_told([]) == ""


def test_a_call_is_json_between_tags() -> None:
    said = called("look", '{"at": [1, 2]}')
    assert said.startswith(call_head("look")) and said.startswith(CALL)
    inside = said.partition("<tool_call>\n")[2].partition("\n</tool_call>")[0]
    assert json.loads(inside) == {"name": "look", "arguments": {"at": [1, 2]}}
    assert response("12 degrees") == "<tool_response>\n12 degrees\n</tool_response>"
