"""Answers in a form for clients that nobody here wrote: OpenAI's, instructor, LangChain.

They are in the extra `api-test`; what is not installed is left out.  The embedded model answers: in
valid form, and wrongly.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pydantic
import pytest

from galago.text.tokens import load_tokenizer
from galago.vlm.forms import json_form
from galago.vlm.grammar import Grammars
from tests.helpers.places import TOP
from tests.load.process import Server

NOTE = base64.b64encode((TOP / "examples" / "note.png").read_bytes()).decode()
URL = f"data:image/png;base64,{NOTE}"
CONTENT: list[Any] = [
    {"type": "text", "text": "What is written?"},
    {"type": "image_url", "image_url": {"url": URL}},
]


class Note(pydantic.BaseModel):
    """A note on a wall."""

    text: str = pydantic.Field(max_length=30, description="what is written")
    kind: Literal["note", "photo"]
    lines: int = pydantic.Field(ge=0, le=9)
    place: Literal["wall", "desk"] | None = None


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    server = Server()
    yield f"http://127.0.0.1:{server.port}/v1"
    assert server.stop() == 0


def test_openai_parses_both_ways(api: str) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=api, api_key="any", max_retries=0)
    messages = [{"role": "user", "content": CONTENT}]
    chat = client.chat.completions.parse(model="", messages=messages, response_format=Note)
    assert isinstance(chat.choices[0].message.parsed, Note)
    content = [
        {"type": "input_text", "text": "What is written?"},
        {"type": "input_image", "image_url": URL, "detail": "auto"},
    ]
    asked = [{"role": "user", "content": content}]
    response = client.responses.parse(model="", input=asked, text_format=Note)
    assert response.output_parsed == chat.choices[0].message.parsed
    tool = openai.pydantic_function_tool(Note)
    called = client.chat.completions.parse(
        model="", messages=messages, tools=[tool], tool_choice="required"
    )
    (call,) = called.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Note)


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA", "TOOLS_STRICT"])
def test_instructor(api: str, mode: str) -> None:
    instructor = pytest.importorskip("instructor")
    openai = pytest.importorskip("openai")
    plain = openai.OpenAI(base_url=api, api_key="any", max_retries=0)
    client = instructor.from_openai(plain, mode=instructor.Mode[mode])
    note = client.chat.completions.create(
        model="fastvlm-nano",
        response_model=Note,
        max_retries=0,
        messages=[{"role": "user", "content": CONTENT}],
    )
    assert isinstance(note, Note)


@pytest.mark.parametrize("way", ["json_schema", "function_calling", "responses"])
def test_langchain(api: str, way: Any) -> None:
    chat = pytest.importorskip("langchain_openai").ChatOpenAI
    human = pytest.importorskip("langchain_core.messages").HumanMessage
    newer = way == "responses"
    model = chat(
        base_url=api, api_key="any", model="fastvlm-nano", max_retries=0, use_responses_api=newer
    )
    method = "json_schema" if newer else way
    formed = model.with_structured_output(Note, method=method)
    assert isinstance(formed.invoke([human(content=CONTENT)]), Note)


SCHEMAS: list[dict[str, Any]] = [
    Note.model_json_schema(),
    {"type": "object"},
    {"type": "string", "pattern": "b+", "maxLength": 9},
    {"type": "string", "format": "date-time"},
    {"enum": ["ä", "日本", 3, None, {"x": [1]}]},
    {"type": "number", "minimum": 0.5, "maximum": 2.25},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "boolean"}},
    {"type": "object", "patternProperties": {"^x[0-9]$": {"type": "null"}}},
    {"allOf": [{"required": ["a"], "properties": {"a": {"minimum": 3}}}, {"type": "object"}]},
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["next"],
            }
        },
    },
    {
        "oneOf": [
            {"type": "object", "properties": {"k": {"const": name}}, "required": ["k"]}
            for name in ("cat", "dog")
        ]
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
def test_whatever_is_drawn_is_valid(schema: dict[str, Any]) -> None:
    """By jsonschema, which knows nothing of grammars."""
    jsonschema = pytest.importorskip("jsonschema")
    tokenizer = load_tokenizer(TOP / "galago" / "models" / "fastvlm-nano")
    end = tokenizer.token_id("<|im_end|>")
    assert end is not None
    grammars, form = Grammars(tokenizer, tokenizer.vocab_size, end), json_form(schema)
    draw, whole = random.Random(7), 0
    for _ in range(40):
        constraint, ids = grammars.begin(form), [0][:0]
        while not constraint.done and len(ids) < 300 and (not ids or ids[-1] != end):
            some = np.flatnonzero(constraint.allowed()).tolist()
            closing = [at for at in some if tokenizer.token_bytes(at) in (b'"', b"}", b"]", b"")]
            ids.append(draw.choice(closing if closing and draw.random() < 0.3 else some))
            constraint.push(ids[-1])
        if constraint.done or ids[-1] == end:
            whole += 1
            said = b"".join(tokenizer.token_bytes(at) for at in ids).decode("utf-8")
            jsonschema.validate(json.loads(said), schema)
    assert whole > 20
