"""OpenAI's schemas, as far as this server speaks them.

Fields that change nothing here are ignored, as clients send many; those whose absence people would
notice (tools, several choices, log-probabilities) are refused in words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "ChatMessage",
    "ChatRequest",
    "Completion",
    "EmbeddingRequest",
    "Embeddings",
    "ImagePart",
    "ModelList",
    "TextPart",
    "Timing",
]

TOKENS = 8192
_NOT_HERE = ("tools", "functions", "audio", "prediction", "web_search_options", "logit_bias")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TextPart(_Asked):
    type: Literal["text"]
    text: str


class ImageUrl(_Asked):
    url: str = Field(description="data:image/…;base64,…", min_length=1)
    detail: str | None = None


class ImagePart(_Asked):
    type: Literal["image_url"]
    image_url: ImageUrl | str

    @property
    def url(self) -> str:
        return self.image_url if isinstance(self.image_url, str) else self.image_url.url


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatMessage(_Asked):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None

    @property
    def parts(self) -> list[TextPart | ImagePart]:
        if isinstance(self.content, str):
            return [TextPart(type="text", text=self.content)]
        return self.content or []


class StreamOptions(_Asked):
    include_usage: bool = False


class GalagoOptions(_Asked):
    """What OpenAI's API has no field for."""

    resolution: int | None = Field(
        None, ge=1, le=10_000, description="Side in pixels that pictures are looked at with."
    )


def _no_empty(stop: str | list[str] | None) -> str | list[str] | None:
    several = [stop] if isinstance(stop, str) else stop or []
    if len(several) > 16 or any(not one or len(one) > 500 for one in several):
        raise ValueError("at most 16 stop strings, of 1 to 500 characters")
    return stop


class ChatRequest(_Asked):
    model: str = Field("", max_length=500, description="A name of /v1/models; empty: the one.")
    messages: list[ChatMessage] = Field(min_length=1, max_length=200)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(1.0, ge=0, le=1, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=TOKENS)
    stop: Annotated[str | list[str] | None, AfterValidator(_no_empty)] = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    n: int | None = Field(1, ge=1, le=1)
    user: str | None = Field(None, max_length=500, description="Takes fair turns with others.")
    galago: GalagoOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, fields: Any) -> Any:
        """What would change the answer, were it known here."""
        if isinstance(fields, dict):
            form = fields.get("response_format")
            text = form is None or (isinstance(form, dict) and form.get("type") == "text")
            found = [name for name in _NOT_HERE if fields.get(name)]
            found += [] if text else ["response_format"]
            found += ["logprobs"] if fields.get("logprobs") is True else []
            for name in ("presence_penalty", "frequency_penalty"):
                found += [name] if fields.get(name) not in (None, 0) else []
            if found:
                raise ValueError(f"{found[0]} is not possible with this server: leave it out")
        return fields


class EmbeddingRequest(_Asked):
    model: str = Field("", max_length=500)
    input: str | list[str | ImagePart | TextPart] = Field(
        description="Texts, and pictures as data URLs."
    )
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1)
    user: str | None = Field(None, max_length=500)


# -- answers ---------------------------------------------------------------------------------------


class Timing(BaseModel):
    """Seconds; `confidence`: how sure the model was; `doubt`: a remark when it wasn't."""

    vision: float
    prefill: float
    first_token: float
    tokens_per_second: float
    confidence: float
    doubt: str | None


class PromptDetails(BaseModel):
    image_tokens: int
    cached_tokens: int


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class Completion(BaseModel):
    """The whole answer; a stream has the same, piece by piece."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    galago: Timing


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    kind: Literal["fastvlm", "mobileclip"]


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
