"""OpenAI's newer API on fakes: whole, streamed, in a form; nothing is kept."""

from __future__ import annotations

from typing import Any

import openai
import pydantic
import pytest

from tests.helpers.serving import Served, ask, data_url, user

pytest.importorskip("llguidance")

RESPONSES = "/v1/responses"


class Card(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=6)


LOOK = {"type": "function", "name": "look", "parameters": Card.model_json_schema()}


@pytest.fixture
def responses(served: Served) -> Any:
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0)
    return client.responses


def test_the_answer_is_that_of_a_completion(served: Served, responses: Any) -> None:
    content = [
        {"type": "input_image", "image_url": data_url("teal"), "detail": "auto"},
        {"type": "input_text", "text": "What is it?"},
    ]
    asked = {"model": "", "input": [{"role": "user", "content": content}], "max_output_tokens": 8}
    whole = responses.create(**asked, instructions="Be brief.", metadata={"a": "b"})
    system = {"role": "system", "content": "Be brief."}
    messages = [system, user("What is it?", data_url("teal"))]
    chat = ask(f"{served.url}/v1/chat/completions", {"messages": messages, "max_tokens": 8}).json
    assert whole.output_text == chat["choices"][0]["message"]["content"]
    assert whole.status == "incomplete" and whole.incomplete_details.reason == "max_output_tokens"
    assert whole.usage.input_tokens == chat["usage"]["prompt_tokens"]
    assert whole.store is False and whole.metadata == {"a": "b"}
    events = list(responses.create(**asked, instructions="Be brief.", stream=True))
    assert [one.sequence_number for one in events] == list(range(len(events)))
    kinds = [one.type.removeprefix("response.") for one in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    done = ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
    assert kinds[-4:] == done and set(kinds[4:-4]) == {"output_text.delta"}
    said = "".join(one.delta for one in events if one.type == "response.output_text.delta")
    assert said == whole.output_text == events[-1].response.output_text


def test_parse_and_stream_of_a_model(responses: Any) -> None:
    parsed = responses.parse(model="", input="Who?", text_format=Card)
    assert isinstance(parsed.output_parsed, Card) and parsed.status == "completed"
    with responses.stream(model="", input="Who?", text_format=Card) as stream:
        assert any(one.type == "response.completed" for one in stream)
        assert stream.get_final_response().output_parsed == parsed.output_parsed


def test_functions_and_what_they_gave(responses: Any) -> None:
    asked = {"model": "", "tools": [LOOK], "max_output_tokens": 200}
    named = {"type": "function", "name": "look"}
    whole = responses.create(**asked, input="Look!", tool_choice=named)
    (call,) = whole.output
    assert call.type == "function_call" and call.name == "look" and call.call_id
    Card.model_validate_json(call.arguments)
    events = list(responses.create(**asked, input="Look!", tool_choice="required", stream=True))
    (done,) = [one for one in events if one.type == "response.function_call_arguments.done"]
    assert done.arguments == call.arguments
    gave = {"type": "function_call_output", "call_id": call.call_id, "output": "a dog"}
    talk = [{"role": "user", "content": "Look!"}, *whole.output, gave]
    again = responses.create(**{**asked, "max_output_tokens": 3}, input=talk, tool_choice="none")
    assert again.output_text and again.usage.input_tokens > whole.usage.input_tokens / 10


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "a"}]}, "input.0.type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, None),
        ({"input": [{"role": "user", "content": ""}]}, "input.0.content"),
        ({"input": [{"role": "assistant", "content": "Hi"}]}, "input"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"not": {}}}}},
            "text.format",
        ),
        ({"text": {"format": {"type": "json_schema"}}, "input": 3}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_is_refused(served: Served, fields: dict[str, Any], param: str | None) -> None:
    reply = ask(served.url + RESPONSES, {"input": "Hi", **fields})
    assert reply.status == 400, reply.body
    assert param is None or reply.json["error"]["param"] == param
