"""OpenAI's newer schema of requests for text, and what it is in the older one's terms."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from galago.server.fields import Asked, Flag, Ignored, Only, complaint
from galago.server.openai_forms import (
    NAME,
    Called,
    Function,
    FunctionName,
    JsonSchema,
    NamedFunction,
    ResponseFormat,
    Tool,
    ToolCall,
)
from galago.server.openai_schemas import (
    ChatMessage,
    ChatRequest,
    Content,
    GalagoOptions,
    Tokens,
)

__all__ = [
    "InputCall",
    "InputMessage",
    "InputOutput",
    "ResponseFunction",
    "ResponseRequest",
    "TextFormat",
    "TextOptions",
    "as_chat",
]

_ITEMS = 200


class InputMessage(Asked):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    id: Ignored = None
    status: Ignored = None
    phase: Ignored = None


class InputCall(Asked):
    """A call that the model made before."""

    type: Literal["function_call"]
    name: str = Field(max_length=64)
    arguments: str = ""
    call_id: Ignored = None
    id: Ignored = None
    status: Ignored = None
    parsed_arguments: Ignored = None
    namespace: Annotated[Any, Only()] = None


class InputOutput(Asked):
    """What came of it."""

    type: Literal["function_call_output"]
    output: Content
    call_id: Ignored = None
    id: Ignored = None
    status: Ignored = None


Item = Annotated[InputMessage | InputCall | InputOutput, Field(discriminator="type")]


def _input(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise complaint("give a text, or a list of messages")
    if not 0 < len(value) <= _ITEMS:
        raise complaint(f"{len(value)} items: give 1 to {_ITEMS}")
    found = []
    for at, one in enumerate(value):
        if not isinstance(one, dict):
            raise complaint('an item must be an object: {"role": "user", "content": "…"}', at)
        kind = one.get("type", "message")
        if kind not in ("message", "function_call", "function_call_output"):
            told = f"{kind[:50]!r}" if isinstance(kind, str) else "this"
            raise complaint(
                f"an item of the type {told} is not possible: message, function_call and "
                "function_call_output are",
                *(at, "type"),
            )
        found.append({**one, "type": kind})
    return found


class TextFormat(Asked):
    type: Literal["text", "json_object", "json_schema"]
    name: str = Field("", max_length=100)
    description: str | None = Field(None, max_length=2000, description="Told to the model.")
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: Ignored = None


class TextOptions(Asked):
    format: TextFormat | None = None
    verbosity: Annotated[Any, Only("medium")] = None


class ResponseFunction(Asked):
    type: Literal["function"]
    name: str = Field(pattern=NAME)
    description: str | None = Field(None, max_length=10_000)
    parameters: dict[str, Any] | None = Field(None, description="A JSON schema of its arguments.")
    strict: Ignored = None
    defer_loading: Annotated[Any, Only(False)] = None


class NamedTool(Asked):
    type: Literal["function"]
    name: str = Field(max_length=100)


class ResponseRequest(Asked):
    model: str = Field("", max_length=500, description="A name of /v1/models; empty: the one.")
    input: Annotated[str | list[Item], BeforeValidator(_input)]
    instructions: str | None = None
    stream: Flag | None = False
    temperature: float | None = Field(0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(1.0, ge=0, le=1, allow_inf_nan=False)
    max_output_tokens: Tokens = Field(None, ge=-1, description="As many as fit: -1.")
    text: TextOptions | None = None
    tools: list[ResponseFunction] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    user: str | None = Field(None, max_length=500, description="Takes fair turns with others.")
    galago: GalagoOptions | None = None
    # Change no answer.
    metadata: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_retention: Ignored = None
    parallel_tool_calls: Ignored = None
    stream_options: Ignored = None
    # Would change it.
    store: Annotated[Any, Only(False)] = None
    previous_response_id: Annotated[Any, Only()] = None
    conversation: Annotated[Any, Only()] = None
    prompt: Annotated[Any, Only()] = None
    background: Annotated[Any, Only(False)] = None
    include: Annotated[Any, Only([])] = None
    truncation: Annotated[Any, Only("disabled")] = None
    reasoning: Annotated[Any, Only({})] = None
    service_tier: Annotated[Any, Only("auto", "default")] = None
    top_logprobs: Annotated[Any, Only(0)] = None
    max_tool_calls: Annotated[Any, Only()] = None


def as_chat(body: ResponseRequest) -> tuple[ChatRequest, list[str]]:
    """The same as a request for a completion, and what complaints call its messages."""
    items = body.input
    if isinstance(items, str):
        items = [InputMessage(role="user", content=items)]
    messages: list[ChatMessage] = []
    places: list[str] = []
    if body.instructions:
        messages.append(_message(role="system", content=body.instructions))
        places.append("instructions")
    for at, item in enumerate(items):
        call = isinstance(item, InputCall)
        if call and messages and messages[-1].role == "assistant":
            calls = [*(messages[-1].tool_calls or []), _called(item)]
            messages[-1] = messages[-1].model_copy(update={"tool_calls": calls})
            continue
        messages.append(_turn(item))
        places.append("input" if isinstance(body.input, str) else f"input.{at}")
    choice: str | NamedFunction | None
    if isinstance(body.tool_choice, NamedTool):
        named = FunctionName(name=body.tool_choice.name)
        choice = NamedFunction(type="function", function=named)
    else:
        choice = body.tool_choice
    chat = ChatRequest.model_construct(
        messages=messages,
        temperature=body.temperature,
        top_p=body.top_p,
        max_tokens=body.max_output_tokens,
        response_format=_format(body.text.format if body.text else None),
        tools=[
            Tool.model_construct(type="function", function=_function(one))
            for one in body.tools or ()
        ],
        tool_choice=choice,
        galago=body.galago,
    )
    return chat, places


def _message(**fields: Any) -> ChatMessage:
    return ChatMessage.model_construct(**fields)


def _turn(item: InputMessage | InputCall | InputOutput) -> ChatMessage:
    if isinstance(item, InputMessage):
        return _message(role=item.role, content=item.content)
    if isinstance(item, InputOutput):
        return _message(role="tool", content=item.output)
    return _message(role="assistant", tool_calls=[_called(item)])


def _called(item: Any) -> ToolCall:
    function = Called.model_construct(name=item.name, arguments=item.arguments)
    return ToolCall.model_construct(function=function)


def _function(one: ResponseFunction) -> Function:
    return Function.model_construct(
        name=one.name, description=one.description, parameters=one.parameters
    )


def _format(asked: TextFormat | None) -> ResponseFormat | None:
    if asked is None:
        return None
    schema = None
    if asked.type == "json_schema":
        schema = JsonSchema.model_construct(
            name=asked.name, description=asked.description, schema_=asked.schema_
        )
    return ResponseFormat.model_construct(type=asked.type, json_schema=schema)
