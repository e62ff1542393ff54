"""Fields of requests: done, taken, or refused by name; and docs/server.md says the same."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from galago.server import (
    album_routes,
    openai_forms,
    openai_schemas,
    page_routes,
    responses_schemas,
    search_routes,
    seen_routes,
)
from galago.server.fields import Asked, Only
from tests.helpers.places import TOP
from tests.helpers.serving import Served, ask, data_url, user

CHAT = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "look"}}
TOOL_NAME = "tools.0.function.name"
MODELS: dict[str, type[Asked]] = {
    "chat": openai_schemas.ChatRequest,
    "a message": openai_schemas.ChatMessage,
    "a text part": openai_schemas.TextPart,
    "a picture's part": openai_schemas.ImagePart,
    "`image_url`": openai_schemas.ImageUrl,
    "`stream_options`": openai_schemas.StreamOptions,
    "`galago`": openai_schemas.GalagoOptions,
    "`response_format`": openai_forms.ResponseFormat,
    "`json_schema`": openai_forms.JsonSchema,
    "a tool": openai_forms.Tool,
    "a tool's `function`": openai_forms.Function,
    "a call of `tool_calls`": openai_forms.ToolCall,
    "responses": responses_schemas.ResponseRequest,
    "`text`": responses_schemas.TextOptions,
    "`format` of `text`": responses_schemas.TextFormat,
    "a tool of responses": responses_schemas.ResponseFunction,
    "a message of `input`": responses_schemas.InputMessage,
    "a call of `input`": responses_schemas.InputCall,
    "a call's output": responses_schemas.InputOutput,
    "embeddings": openai_schemas.EmbeddingRequest,
    "search": search_routes.SearchRequest,
    "classify": page_routes.ClassifyRequest,
    "seen": seen_routes.SeenRequest,
    "forget": seen_routes.ForgetRequest,
    "index": album_routes.IndexRequest,
    "folders": album_routes.FoldersRequest,
    "duplicates": album_routes.DuplicatesRequest,
}
_FIELD = re.compile(r"`(\w+)`(?: \(((?:`[^`]*`(?:, )?)+)\))?")


def documented() -> dict[str, dict[str, Any]]:
    """What docs/server.md says of every field: "used", "ignored", or the values it may have."""
    text = (TOP / "docs" / "server.md").read_text("utf-8")
    table = text.partition("## Every field")[2].partition("\n## ")[0]
    found: dict[str, dict[str, Any]] = {}
    for row in table.splitlines():
        if not row.startswith("| ") or row.startswith("| of"):
            continue
        _, of, fields, told, _ = (cell.strip() for cell in row.split(" | ".join(["", ""]).strip()))
        for name, values in _FIELD.findall(fields):
            some = [json.loads(one) for one in re.findall("`([^`]*)`", values)]
            kind = "used" if told == "used" else "ignored" if told.startswith("taken") else some
            found.setdefault(of, {})[name] = kind
    return found


def declared(model: type[Asked]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        mark = next((one for one in field.metadata if isinstance(one, Only)), None)
        known = "used" if mark is None else list(mark.values[:-1])
        found[field.alias or name] = "ignored" if mark is not None and mark.anything else known
    return found


def test_the_documented_fields_are_the_schemas() -> None:
    assert documented() == {of: declared(model) for of, model in MODELS.items()}


def chat(served: Served, **fields: Any) -> Any:
    return ask(served.url + CHAT, {"messages": [user("Hi")], "max_tokens": 2, **fields})


def test_fields_that_do_nothing_are_taken_with_what_asks_for_nothing(served: Served) -> None:
    asked: dict[str, Any] = {}
    for name, kind in declared(openai_schemas.ChatRequest).items():
        if kind == "ignored":
            asked[name] = {"some": "thing"}
        elif kind != "used":
            asked[name] = kind[0] if kind else None
    assert chat(served, **asked).status == 200
    assert chat(served, **dict.fromkeys(asked)).status == 200
    assert chat(served, presence_penalty=0.0, user="me", stream_options=None).status == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        *(({"grammar": "root ::= x"}, "grammar"), ({"guided_json": {}}, "guided_json")),
        *(({"format": "json"}, "format"), ({"logprobs": 3}, "logprobs")),
        *(({"top_logprobs": 3}, "top_logprobs"), ({"modalities": ["audio"]}, "modalities")),
        *(({"best_of": 2}, "best_of"), ({"n": 2}, "n"), ({"n": True}, "n")),
        *(({"tools": [{"type": "web"}]}, "tools.0.type"), ({"store": True}, "store")),
        *(({"tool_choice": "required"}, "tool_choice"), ({"temprature": 0}, "temprature")),
        *(({"logit_bias": {"1": 2}}, "logit_bias"), ({"nothing": None}, "nothing")),
        *(({"response_format": {"type": "xml"}}, "response_format.type"),),
        *(({"response_format": {"type": "json_schema"}}, "response_format"),),
        *(({"tools": [{"type": "function", "function": {"name": "a b"}}]}, TOOL_NAME),),
        *(({"tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),),
        *(({"logprobs": True, "tools": [TOOL]}, "logprobs"), ({"tools": [TOOL, TOOL]}, "tools")),
        *(({"presence_penalty": 0.5}, "presence_penalty"),),
        *(({"stream_options": {"include_usag": True}}, "stream_options.include_usag"),),
        *(({"galago": {"resolutoin": 512}}, "galago.resolutoin"),),
        *(({"top_k": -2}, "top_k"), ({"min_p": 2}, "min_p"), ({"stop": [1]}, "stop")),
        *(({"repetition_penalty": 0}, "repetition_penalty"), ({"max_tokens": 0}, "max_tokens")),
    ],
)
def test_what_has_no_effect_is_refused_by_its_name(
    served: Served, fields: dict[str, Any], param: str
) -> None:
    reply = chat(served, **fields)
    error = reply.json["error"]
    assert reply.status == 400 and error["param"] == param and param in error["message"]
    assert error["code"] == "invalid_value"


def test_a_misspelt_field_is_told_what_was_meant(served: Served) -> None:
    for path, fields, name in (
        (CHAT, {"messages": [user("Hi")], "temprature": 1}, "temperature"),
        ("/v1/embeddings", {"inputs": "a"}, "input"),
        ("/api/search", {"txt": "a"}, "text"),
        ("/api/classify", {"image": data_url(), "label": ["a"]}, "labels"),
    ):
        reply = ask(served.url + path, fields)
        assert reply.status == 400
        assert f"did you mean {name}?" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    ("content", "param", "told"),
    [
        ([{"type": "input_audio"}], "messages.0.content.0.type", "'input_audio' is not possible"),
        ([{"text": "a"}], "messages.0.content.0.type", "without a type"),
        (["a"], "messages.0.content.0", "must be an object"),
        (7, "messages.0.content", "a text, or a list of parts"),
        ([{"type": "text"}], "messages.0.content.0.text", "required"),
        (
            [{"type": "text", "text": "a"}, {"type": "image_url"}],
            "messages.0.content.1.image_url",
            "required",
        ),
        (
            [{"type": "image_url", "image_url": {}}],
            "messages.0.content.0.image_url.url",
            "required",
        ),
        ([{"type": "text", "text": "a", "txt": 1}], "messages.0.content.0.txt", "unknown field"),
    ],
)
def test_a_part_that_is_not_possible_is_named(
    served: Served, content: Any, param: str, told: str
) -> None:
    reply = chat(served, messages=[{"role": "user", "content": content}])
    error = reply.json["error"]
    assert reply.status == 400 and error["param"] == param
    assert told in error["message"] and "str" not in error["message"].split()[0]


def test_token_ids_to_embed_get_a_clear_word(served: Served) -> None:
    for ids in ([1, 2, 3], [[1, 2], [3]]):
        reply = ask(f"{served.url}/v1/embeddings", {"input": ids})
        assert reply.status == 400 and "send the text" in reply.json["error"]["message"]


def test_pictures_in_every_form_that_clients_send(served: Served) -> None:
    url = data_url("green")
    plain = url.partition(",")[2]
    text = {"type": "text", "text": "What?"}

    def tokens(**message: Any) -> Any:
        reply = chat(served, messages=[{"role": "user", **message}])
        assert reply.status == 200, reply.body
        return reply.json["usage"]["prompt_tokens_details"]["image_tokens"]

    for part in (
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {"url": url, "detail": "low", "format": "png"}},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ):
        assert tokens(content=[text, part]) == 16
    assert tokens(content=[{"type": "input_text", "text": "What?"}], images=[plain]) == 16
    assert tokens(content="What?", images=[plain, url]) == 32
    assert tokens(images=[plain]) == 16
    bad = chat(served, messages=[{"role": "user", "content": "a", "images": ["no picture"]}])
    assert bad.status == 400 and bad.json["error"]["code"] == "invalid_image"
    said = {"role": "assistant", "content": "a", "images": [plain]}
    assert chat(served, messages=[user("a"), said]).status == 400


def test_the_schema_tells_what_may_stand_in_a_field(served: Served) -> None:
    schemas = ask(f"{served.url}/openapi.json").json["components"]["schemas"]
    fields = schemas["ChatRequest"]["properties"]
    assert schemas["ChatRequest"]["additionalProperties"] is False
    assert fields["n"]["enum"] == [1, None] and "enum" not in fields["metadata"]
    assert fields["top_k"]["description"]


@pytest.mark.parametrize("value", [0.0, 1, "yes", "true"])
def test_a_flag_is_true_or_false(value: object) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(ValidationError, match="logprobs"):
        openai_schemas.ChatRequest.model_validate({"messages": messages, "logprobs": value})
    openai_schemas.ChatRequest.model_validate({"messages": messages, "logprobs": True})
