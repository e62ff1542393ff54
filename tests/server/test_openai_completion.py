"""Answers in JSON, calls of functions and probabilities, by OpenAI's client on fakes."""

from __future__ import annotations

import json
import math
from typing import Any

import openai
import pydantic
import pytest

from tests.helpers.serving import Served, ask, data_url, user

pytest.importorskip("llguidance")

CHAT = "/v1/chat/completions"


class Card(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=6)
    age: int = pydantic.Field(ge=0, le=150)


LOOK = {
    "type": "function",
    "function": {"name": "look", "parameters": Card.model_json_schema(), "description": "Looks."},
}
WAIT = {"type": "function", "function": {"name": "wait"}}


@pytest.fixture
def chat(served: Served) -> Any:
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0)
    return client.chat.completions


def test_parse(chat: Any) -> None:
    asked = {"model": "", "messages": [user("Who?", data_url("teal"))]}
    parsed = chat.parse(**asked, response_format=Card).choices[0].message.parsed
    assert isinstance(parsed, Card)
    told = chat.create(**asked, response_format={"type": "json_object"}, max_tokens=400)
    if told.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(told.choices[0].message.content), dict)
    with pytest.raises(openai.LengthFinishReasonError):
        chat.parse(**asked, response_format=Card, max_tokens=3)
    cut = chat.create(**asked, response_format={"type": "json_object"}, max_tokens=1)
    assert cut.choices[0].finish_reason == "length" and "cut at 1 token" in cut.galago["cut"]


def test_functions(chat: Any) -> None:
    asked = {"model": "", "messages": [user("Look!")], "tools": [LOOK, WAIT], "max_tokens": 200}
    for choice, names in (
        ("required", {"look", "wait"}),
        ({"type": "function", "function": {"name": "look"}}, {"look"}),
        ({"type": "function", "function": {"name": "wait"}}, {"wait"}),
    ):
        choice_ = chat.create(**asked, tool_choice=choice).choices[0]
        (call,) = choice_.message.tool_calls
        assert choice_.finish_reason == "tool_calls" and choice_.message.content is None
        assert call.function.name in names and call.id.startswith("call_")
        if call.function.name == "look":
            Card.model_validate_json(call.function.arguments)
        else:
            assert call.function.arguments == "{}"
        streamed = [c.choices[0] for c in chat.create(**asked, tool_choice=choice, stream=True)]
        deltas = [one.delta.tool_calls[0] for one in streamed if one.delta.tool_calls]
        assert deltas[0].id and deltas[0].function.name == call.function.name
        assert "".join(one.function.arguments for one in deltas) == call.function.arguments
        assert streamed[-1].finish_reason == "tool_calls"
    free = chat.create(**{**asked, "max_tokens": 5}, tool_choice="none").choices[0].message
    assert free.content and not free.tool_calls


def test_what_a_function_gave_goes_back(served: Served, chat: Any) -> None:
    messages: list[Any] = [user("Look!")]
    asked = {"model": "", "tools": [LOOK], "tool_choice": "required", "max_tokens": 200}
    said = chat.create(**asked, messages=messages).choices[0].message
    call = said.tool_calls[0]
    gave = {"role": "tool", "tool_call_id": call.id, "content": "a dog"}
    whole = chat.create(**asked, messages=[*messages, said, gave, gave])
    written = (
        f'<tool_call>\n{{"name": "look", "arguments": {call.function.arguments}}}\n</tool_call>'
    )
    told = "<tool_response>\na dog\n</tool_response>"
    by_hand = [
        {"role": "assistant", "content": written},
        {"role": "user", "content": f"{told}\n{told}"},
    ]
    same = chat.create(**asked, messages=[*messages, *by_hand])
    assert whole.usage.prompt_tokens == same.usage.prompt_tokens
    reply = ask(served.url + CHAT, {"messages": [user("Hi"), said.model_dump(exclude_none=True)]})
    assert reply.status == 400 and "role tool" in reply.json["error"]["message"]


def test_probabilities_are_the_texts(chat: Any) -> None:
    asked = {"model": "", "messages": [user("Say")], "max_tokens": 12, "logprobs": True}
    whole = chat.create(**asked, top_logprobs=3).choices[0]
    content = whole.logprobs.content
    said = b"".join(bytes(one.bytes) for one in content)
    assert said.decode("utf-8", "replace") == whole.message.content
    for one in content:
        assert one.logprob <= 0 and len(one.top_logprobs) == 3
        assert one.top_logprobs[0].bytes == one.bytes  # the likeliest was taken
        assert sum(math.exp(top.logprob) for top in one.top_logprobs) <= 1.0001
    pieces = [c.choices[0].logprobs for c in chat.create(**asked, top_logprobs=3, stream=True)]
    streamed = [one for piece in pieces if piece for one in piece.content]
    assert [one.logprob for one in streamed] == [one.logprob for one in content]
    assert chat.create(**asked).choices[0].logprobs.content[0].top_logprobs == []


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "pattern": "(?!a)"}, "look-around"),
        ({"anyOf": [{"type": "null"}] * 300}, "branches"),
        ({"$ref": "#"}, "asks for too much"),
    ],
)
def test_a_schema_that_is_not_possible_is_refused(served: Served, schema: Any, told: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    for stream in (False, True):
        body = {"messages": [user("Hi")], "response_format": wanted, "stream": stream}
        reply = ask(served.url + CHAT, body)
        assert reply.status == 400 and told in reply.json["error"]["message"]
    function = {"name": "look", "parameters": schema}
    body = {"messages": [user("Hi")], "tools": [{"type": "function", "function": function}]}
    reply = ask(served.url + CHAT, {**body, "tool_choice": "required"})
    assert reply.status == 400 and told in reply.json["error"]["message"]
