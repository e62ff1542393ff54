"""Functions that a model may call, in the text that Qwen2 models know: told, called, answered.

The format is that of Qwen2.5's published chat template: functions stand in the system message, a
call is JSON between tags in the assistant's turn, and what came of it is told by the user.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["CALL", "CALL_END", "call_head", "called", "response", "tools_told"]

CALL, CALL_END = "<tool_call>\n", "}\n</tool_call>"

_TOLD = """\
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def tools_told(functions: Iterable[Mapping[str, Any]]) -> str:
    """What the system message says of functions ({"name", "description", "parameters"}), if any."""
    lines = [_json({"type": "function", "function": dict(one)}) for one in functions]
    return _TOLD.format(tools="\n".join(lines)) if lines else ""


def call_head(name: str) -> str:
    """How a call begins; its arguments follow."""
    return f'{CALL}{{"name": {_json(name)}, "arguments": '


def called(name: str, arguments: str) -> str:
    """A call that was made."""
    return f"{call_head(name)}{arguments}{CALL_END}"


def response(text: str) -> str:
    """What came of one."""
    return f"<tool_response>\n{text}\n</tool_response>"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
