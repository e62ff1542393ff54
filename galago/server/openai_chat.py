"""POST /v1/chat/completions: messages in, an answer whole or as server-sent events."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from galago import catalog
from galago.server.data_urls import Opener
from galago.server.openai_schemas import ChatMessage, ChatRequest
from galago.server.problems import Problem, problem_of
from galago.server.service import Service
from galago.server.settings import Settings
from galago.text.chat import Message, user_message
from galago.text.presets import PRESETS
from galago.vlm.reply import Chunk, EncodedImage, Stats
from galago.vlm.sampling import SamplingOptions

__all__ = ["Answer", "Asked", "answer", "asked", "events", "first_of", "whole"]

_CHARACTERS = 16  # more of these a position than any text has
_TOKENS = 512  # of an answer when the request names no number


@dataclass(frozen=True)
class Asked:
    """A checked request: messages with slots for the pictures whose URLs follow."""

    messages: tuple[Message, ...]
    urls: tuple[str, ...]
    options: SamplingOptions
    resolution: int | None


@dataclass
class Answer:
    """What is known of one answer, and when it was asked for (time.perf_counter)."""

    model: str
    asked_at: float
    vision: float = 0.0
    first_token: float | None = None

    def __post_init__(self) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())

    def timing(self, stats: Stats) -> dict[str, Any]:
        first = self.first_token if self.first_token is not None else stats.first_token
        return {
            "vision": round(self.vision, 4),
            "prefill": round(stats.prefill, 4),
            "first_token": round(first, 4),
            "tokens_per_second": round(stats.tokens_per_second, 1),
            "confidence": round(stats.confidence, 4),
            "known": None if stats.known is None else round(stats.known, 4),
            "doubt": catalog.doubt(self.model) if stats.doubted else None,
        }


def asked(body: ChatRequest, opener: Opener, settings: Settings) -> Asked:
    """The request in the model's terms; Problem for what can't be answered.  Decodes nothing."""
    texts = [message.texts for message in body.messages]
    length = sum(len(text) for several in texts for text in several)
    if length > _CHARACTERS * settings.context:  # before anything is made of so much
        raise _too_long(settings, f"{length} characters")
    urls: list[str] = []
    messages: list[Message] = []
    for at, message in enumerate(body.messages):
        pictures = message.pictures
        for url in pictures:
            opener.check(url, f"messages.{at}")
        messages.append(_message(message, at, "\n".join(texts[at]), len(pictures), len(urls)))
        urls += pictures
    messages = _one_system(messages)
    if not any(message.role in ("user", "tool") for message in messages):
        raise Problem(400, "there is no message of the user's", param="messages")
    if len(urls) > settings.pictures:
        told = f"{len(urls)} pictures: at most {settings.pictures} in one conversation"
        raise Problem(400, told, param="messages", code="too_many_pictures")
    resolution = body.galago.resolution if body.galago else None
    return Asked(tuple(messages), tuple(urls), _options(body, settings), resolution)


_ROLES = {"assistant": "assistant", "tool": "tool", "function": "tool"}


def _message(message: ChatMessage, at: int, text: str, pictures: int, first: int) -> Message:
    """One turn; pictures stand before the text, as FastVLM was trained.

    What a tool said is a turn of the role "tool", as in Qwen2's published template.
    """
    param = f"messages.{at}.content"
    if message.role != "user":
        if pictures:
            raise Problem(400, "only the user's messages can hold pictures", param=param)
        return Message(_ROLES.get(message.role, "system"), (text,))
    if not text or text.isspace():
        if not pictures:
            raise Problem(400, "the question is empty", param=param, code="missing_value")
        text = PRESETS["describe"]
    return user_message(text, pictures, first)


def _one_system(messages: Sequence[Message]) -> list[Message]:
    """Instructions from wherever they stand, as one message at the beginning."""
    told = [part for m in messages if m.role == "system" for part in m.content]
    rest = [m for m in messages if m.role != "system"]
    text = "\n".join(part for part in told if isinstance(part, str) and part.strip())
    return [Message("system", (text,)), *rest] if text else rest


def _options(body: ChatRequest, settings: Settings) -> SamplingOptions:
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    # Nothing of the probability leaves the likeliest token.
    greedy = body.top_p == 0 or not body.temperature
    most = body.max_completion_tokens or body.max_tokens or _TOKENS
    return SamplingOptions(
        temperature=0.0 if greedy else float(body.temperature or 0),
        top_p=body.top_p or 1.0,
        top_k=max(body.top_k or 0, 0),
        min_p=body.min_p or 0.0,
        repetition_penalty=body.repetition_penalty or body.repeat_penalty or 1.0,
        seed=None if body.seed is None else body.seed % 2**63,
        max_tokens=settings.context if most < 0 else min(most, settings.context),
        stop=stop,
    )


def _too_long(settings: Settings, what: str) -> Problem:
    return Problem(
        400,
        f"the conversation is too long ({what}): {settings.context} positions fit, pictures and "
        "the answer included",
        code="context_length_exceeded",
        param="messages",
    )


def answer(service: Service, question: Asked, into: Answer) -> Iterator[Chunk]:
    """The work of one request, in a thread; empty chunks while pictures are looked at."""
    images: list[EncodedImage] = []
    for url in question.urls:
        data = service.opener.open(url)
        began = time.perf_counter()
        images.append(service.pictures.encode(data, question.resolution))
        into.vision += time.perf_counter() - began
        yield Chunk("")
    vlm, context = service.parts.vlm, service.settings.context
    length = vlm.prompt_length(question.messages, images)
    if length >= context:
        raise _too_long(service.settings, f"{length} positions")
    most = min(question.options.max_tokens, context - length)
    options = replace(question.options, max_tokens=most)
    with contextlib.closing(vlm.reply(question.messages, images, options)) as chunks:  # type: ignore[type-var]
        for chunk in chunks:
            if into.first_token is None:
                into.first_token = time.perf_counter() - into.asked_at
            yield chunk


async def first_of(chunks: AsyncIterator[Chunk]) -> Chunk:
    """The first with a token or the end: until then an error can still be a status."""
    async for chunk in chunks:
        if chunk.token_id is not None or chunk.stats is not None:
            return chunk
    raise Problem(503, "the answer was given up")


async def whole(first: Chunk, rest: AsyncIterator[Chunk], about: Answer) -> dict[str, Any]:
    """The fold into one answer."""
    parts, last = [first.text], first
    async for chunk in rest:
        parts.append(chunk.text)
        last = chunk
    if last.stats is None:
        raise Problem(503, "the answer was given up")
    message = {"role": "assistant", "content": "".join(parts)}
    choice = {"index": 0, "message": message, "finish_reason": _reason(last), "logprobs": None}
    return {
        **_head(about, "chat.completion"),
        "choices": [choice],
        "usage": _usage(last.stats),
        "galago": about.timing(last.stats),
    }


async def events(
    first: Chunk, rest: AsyncIterator[Chunk], about: Answer, *, usage: bool
) -> AsyncIterator[str]:
    """The fold into server-sent events; an error on the way is an event too."""
    head = _head(about, "chat.completion.chunk")

    def piece(delta: dict[str, str], reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _event({**head, "choices": [choice], **more})

    yield piece({"role": "assistant", "content": ""})
    try:
        chunk = first
        if chunk.text:
            yield piece({"content": chunk.text})
        async for chunk in rest:
            if chunk.text:
                yield piece({"content": chunk.text})
        if chunk.stats is None:
            raise Problem(503, "the answer was given up")
    except Exception as error:
        yield _event(problem_of(error).body())
        return
    timing = about.timing(chunk.stats)
    if usage:
        yield piece({}, _reason(chunk))
        last = {**head, "choices": [], "usage": _usage(chunk.stats), "galago": timing}
        yield _event(last)
    else:
        yield piece({}, _reason(chunk), galago=timing)
    yield "data: [DONE]\n\n"


def _head(about: Answer, kind: str) -> dict[str, Any]:
    return {"id": about.id, "object": kind, "created": about.created, "model": about.model}


def _event(fields: dict[str, Any]) -> str:
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"


def _reason(chunk: Chunk) -> str:
    # "length" is how clients know that an answer isn't whole.
    return "length" if chunk.finish in ("length", "repetition") else "stop"


def _usage(stats: Stats) -> dict[str, Any]:
    return {
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.tokens,
        "total_tokens": stats.prompt_tokens + stats.tokens,
        "prompt_tokens_details": {
            "image_tokens": stats.image_tokens,
            "cached_tokens": stats.cached_tokens,
        },
    }
