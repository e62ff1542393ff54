"""OpenAI's schemas, as far as this server speaks them.

Every field that a request may have stands here: what isn't here is refused, so that nothing is
asked for in vain.  `Only` fields do nothing and are taken with what asks for nothing.  The table in
docs/server.md has them too, and a test compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from galago.server.fields import Asked, Flag, Ignored, Only, complaint
from galago.server.openai_forms import NamedFunction, ResponseFormat, Tool, ToolCall

__all__ = [
    "ChatMessage",
    "ChatRequest",
    "Content",
    "EmbeddingRequest",
    "GalagoOptions",
    "ImagePart",
    "TextPart",
    "Tokens",
    "check_part",
]

_PARTS = 256  # of one message
_INPUTS = 1000  # looked at, whatever the server's limit is
_TEXT, _PICTURE = ("text", "input_text", "output_text"), ("image_url", "input_image")


class TextPart(Asked):
    type: Literal["text", "input_text", "output_text"]
    text: str
    annotations: Ignored = None
    logprobs: Ignored = None
    cache_control: Ignored = None


class ImageUrl(Asked):
    url: str = Field(description="data:image/…;base64,…", min_length=1)
    detail: Ignored = None
    format: Ignored = None


class ImagePart(Asked):
    type: Literal["image_url", "input_image"]
    image_url: ImageUrl | str
    detail: Ignored = None
    cache_control: Ignored = None

    @property
    def url(self) -> str:
        return self.image_url if isinstance(self.image_url, str) else self.image_url.url


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


def check_part(part: Any, *place: int) -> None:
    """A complaint that says what is possible, for what can't be a part."""
    if not isinstance(part, dict):
        raise complaint('a part must be an object: {"type": "text", "text": "…"}', *place)
    kind = part.get("type")
    if kind not in (*_TEXT, *_PICTURE):
        told = f"{kind[:50]!r}" if isinstance(kind, str) else "without a type"
        raise complaint(
            f"a part {'of the type ' if isinstance(kind, str) else ''}{told} is not possible: "
            "text and image_url are",
            *place,
            "type",
        )


def _content(value: Any) -> Any:
    """Looked at before pydantic tries every kind of part on every item."""
    if isinstance(value, list):
        if len(value) > _PARTS:
            raise complaint(f"{len(value)} parts: at most {_PARTS} in a message")
        for at, part in enumerate(value):
            check_part(part, at)
    elif not isinstance(value, (str, type(None))):
        raise complaint("give a text, or a list of parts")
    return value


Content = Annotated[str | list[Part] | None, BeforeValidator(_content)]


class ChatMessage(Asked):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = None
    images: list[str] | None = Field(
        None, max_length=100, description="Pictures in base64, as Ollama's clients send them."
    )
    tool_calls: list[ToolCall] | None = Field(None, max_length=128)
    name: Ignored = None
    tool_call_id: Ignored = None
    function_call: Annotated[Any, Only()] = None
    audio: Annotated[Any, Only()] = None
    refusal: Annotated[Any, Only("")] = None
    annotations: Ignored = None
    reasoning: Annotated[Any, Only("")] = None
    reasoning_content: Annotated[Any, Only("")] = None

    @property
    def said(self) -> str:
        """All its texts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if isinstance(part, TextPart))

    @property
    def pictures(self) -> list[str]:
        """URLs, those of `images` too."""
        parts = () if isinstance(self.content, str) else self.content or ()
        found = [part.url for part in parts if isinstance(part, ImagePart)]
        return found + [_as_url(image) for image in self.images or ()]


def _as_url(image: str) -> str:
    named = image[:8].lower().startswith(("data:", "http:", "https:", "file:"))
    return image if named else f"data:;base64,{image}"


class StreamOptions(Asked):
    include_usage: Flag = False
    include_obfuscation: Annotated[Any, Only(False)] = None
    continuous_usage_stats: Annotated[Any, Only(False)] = None


class GalagoOptions(Asked):
    """What OpenAI's API has no field for."""

    resolution: int | None = Field(
        None, ge=1, le=10_000, description="Side in pixels that pictures are looked at with."
    )


def _stop(stop: Any) -> Any:
    several: Sequence[Any] = stop if isinstance(stop, list) else [] if stop is None else [stop]
    if len(several) > 16 or not all(
        isinstance(one, str) and 0 < len(one) <= 500 for one in several
    ):
        raise complaint("give at most 16 stop strings, of 1 to 500 characters")
    return stop


def _some(tokens: int | None) -> int | None:
    if tokens == 0:
        raise complaint("an answer has at least 1 token; -1 is as many as fit")
    return tokens


Tokens = Annotated[int | None, AfterValidator(_some)]
_MOST = "Of the answer; what doesn't fit, or -1, is as many as fit."


class ChatRequest(Asked):
    model: str = Field("", max_length=500, description="A name of /v1/models; empty: the one.")
    messages: list[ChatMessage] = Field(min_length=1, max_length=200)
    stream: Flag | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(1.0, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(0, ge=-1, le=2**31, description="0 and -1: all.")
    min_p: float | None = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    repetition_penalty: float | None = Field(None, ge=0.1, le=10, allow_inf_nan=False)
    repeat_penalty: float | None = Field(
        None, ge=0.1, le=10, allow_inf_nan=False, description="The same by another name."
    )
    max_tokens: Tokens = Field(None, ge=-1, description=_MOST)
    max_completion_tokens: Tokens = Field(None, ge=-1, description=_MOST)
    stop: Annotated[str | list[str] | None, BeforeValidator(_stop)] = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    user: str | None = Field(None, max_length=500, description="Takes fair turns with others.")
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | None = Field(
        None, description="auto unless told otherwise; an answer has one call at most."
    )
    logprobs: Flag | None = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    galago: GalagoOptions | None = None
    # Change no answer.
    metadata: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_retention: Ignored = None
    cache_prompt: Ignored = None
    keep_alive: Ignored = None
    parallel_tool_calls: Ignored = None
    # Would change it.
    n: Annotated[Any, Only(1)] = None
    best_of: Annotated[Any, Only(1)] = None
    store: Annotated[Any, Only(False)] = None
    service_tier: Annotated[Any, Only("auto", "default")] = None
    modalities: Annotated[Any, Only(["text"])] = None
    logit_bias: Annotated[Any, Only({})] = None
    presence_penalty: Annotated[Any, Only(0)] = None
    frequency_penalty: Annotated[Any, Only(0)] = None
    functions: Annotated[Any, Only([])] = None
    function_call: Annotated[Any, Only("none", "auto")] = None
    audio: Annotated[Any, Only()] = None
    prediction: Annotated[Any, Only()] = None
    web_search_options: Annotated[Any, Only()] = None
    reasoning_effort: Annotated[Any, Only("none")] = None
    verbosity: Annotated[Any, Only("medium")] = None
    think: Annotated[Any, Only(False)] = None
    format: Annotated[Any, Only("")] = None
    options: Annotated[Any, Only({})] = None
    grammar: Annotated[Any, Only("")] = None
    guided_json: Annotated[Any, Only()] = None
    guided_regex: Annotated[Any, Only()] = None
    guided_choice: Annotated[Any, Only()] = None
    guided_grammar: Annotated[Any, Only()] = None
    json_schema: Annotated[Any, Only()] = None
    min_tokens: Annotated[Any, Only(0)] = None
    ignore_eos: Annotated[Any, Only(False)] = None
    skip_special_tokens: Annotated[Any, Only(True)] = None
    stop_token_ids: Annotated[Any, Only([])] = None
    use_beam_search: Annotated[Any, Only(False)] = None
    length_penalty: Annotated[Any, Only(1)] = None
    typical_p: Annotated[Any, Only(1)] = None
    tfs_z: Annotated[Any, Only(1)] = None
    mirostat: Annotated[Any, Only(0)] = None
    echo: Annotated[Any, Only(False)] = None
    add_generation_prompt: Annotated[Any, Only(True)] = None
    chat_template_kwargs: Annotated[Any, Only({})] = None


def _inputs(value: Any) -> Any:
    """As `_content`: lists of millions are known by their length and their first items."""
    if not isinstance(value, list):
        if not isinstance(value, str):
            raise complaint("give a text, or a list of texts and pictures")
        return value
    if value and (type(value[0]) is int or isinstance(value[0], list)):
        raise complaint("token ids are not possible, as other models' differ: send the text")
    if len(value) > _INPUTS:
        raise complaint(f"{len(value)} inputs: send them in several requests")
    for at, one in enumerate(value):
        if not isinstance(one, str):
            check_part(one, at)
    return value


class EmbeddingRequest(Asked):
    model: str = Field("", max_length=500)
    input: Annotated[str | list[str | ImagePart | TextPart], BeforeValidator(_inputs)] = Field(
        description="Texts, and pictures as data URLs."
    )
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1)
    user: str | None = Field(None, max_length=500)
    metadata: Ignored = None
    keep_alive: Ignored = None
    truncate: Annotated[Any, Only(True)] = None
