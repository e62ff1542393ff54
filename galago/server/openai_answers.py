"""OpenAI's answers, for the description of the API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

__all__ = ["Completion", "Embeddings", "ModelCard", "ModelList", "ResponseAnswer", "Timing"]


class Timing(BaseModel):
    """Seconds; `confidence`: how probable the model held its words; `known`: how probably it knows
    what it speaks of, null where that was never measured; `doubt`: a remark when it doesn't; `cut`:
    why the answer isn't whole, if it isn't."""

    vision: float
    prefill: float
    first_token: float
    tokens_per_second: float
    confidence: float
    known: float | None
    doubt: str | None
    cut: str | None


class PromptDetails(BaseModel):
    image_tokens: int
    cached_tokens: int


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class CalledFunction(BaseModel):
    name: str
    arguments: str


class CallMade(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[CallMade] | None = None


class TopToken(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class LikelyToken(TopToken):
    top_logprobs: list[TopToken]


class Logprobs(BaseModel):
    """How likely the model held each token, as natural logarithms."""

    content: list[LikelyToken]
    refusal: None = None


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
    logprobs: Logprobs | None = None


class Completion(BaseModel):
    """The whole answer; a stream has the same, piece by piece."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    galago: Timing


class ResponseAnswer(BaseModel):
    """The whole response; the events of a stream hold it, too."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    model: str
    status: Literal["completed", "incomplete", "in_progress", "failed"]
    output: list[dict[str, Any]]
    error: dict[str, str] | None
    incomplete_details: dict[str, str] | None
    usage: dict[str, Any] | None
    store: Literal[False] = False
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
