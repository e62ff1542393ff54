"""Messages in, chunks of an answer out: what a request for text asks of the model."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from galago import catalog
from galago.server.data_urls import Opener
from galago.server.openai_forms import Shape, shape_of
from galago.server.openai_schemas import ChatMessage, ChatRequest
from galago.server.problems import Problem
from galago.server.service import Service
from galago.server.settings import Settings
from galago.specs import PromptSpec
from galago.text.chat import Message, user_message
from galago.text.presets import PRESETS
from galago.text.tools import called, response, tools_told
from galago.vlm.forms import Form
from galago.vlm.reply import Chunk, EncodedImage, Stats, why_cut
from galago.vlm.sampling import SamplingOptions

__all__ = ["Answer", "Asked", "answer", "asked", "first_of", "usage_of"]

_CHARACTERS = 16  # more of these a position than any text has
_TOKENS = 512  # of an answer when the request names no number


@dataclass(frozen=True)
class Asked:
    """A checked request: messages with slots for the pictures whose URLs follow."""

    messages: tuple[Message, ...]
    urls: tuple[str, ...]
    options: SamplingOptions
    resolution: int | None
    shape: Shape


@dataclass
class Answer:
    """What is known of one answer, and when it was asked for (time.perf_counter)."""

    model: str
    asked_at: float
    logprobs: bool = False
    vision: float = 0.0
    first_token: float | None = None

    def __post_init__(self) -> None:
        self.id = uuid.uuid4().hex
        self.created = int(time.time())

    def timing(self, last: Chunk) -> dict[str, Any]:
        """The field `galago`, of the last chunk."""
        stats = last.stats
        assert stats is not None
        first = self.first_token if self.first_token is not None else stats.first_token
        return {
            "vision": round(self.vision, 4),
            "prefill": round(stats.prefill, 4),
            "first_token": round(first, 4),
            "tokens_per_second": round(stats.tokens_per_second, 1),
            "confidence": round(stats.confidence, 4),
            "known": None if stats.known is None else round(stats.known, 4),
            "doubt": catalog.doubt(self.model) if stats.doubted else None,
            "cut": why_cut(last.finish, stats.tokens),
        }


def asked(
    body: ChatRequest, opener: Opener, settings: Settings, places: Sequence[str] | None = None
) -> Asked:
    """The request in the model's terms; Problem for what can't be answered.  Decodes nothing.

    `places`: what complaints call the messages.
    """
    places = places or [f"messages.{at}" for at in range(len(body.messages))]
    of = places[-1].partition(".")[0]
    form = "response_format" if of == "messages" else "text.format"
    shape = shape_of(body.response_format, body.tools, body.tool_choice, form)
    texts = [message.said for message in body.messages]
    if sum(map(len, texts)) > _CHARACTERS * settings.context:  # before anything is made of so much
        raise _too_long(settings, f"{sum(map(len, texts))} characters", of)
    urls: list[str] = []
    messages: list[Message] = []
    for at, message in enumerate(body.messages):
        pictures = message.pictures
        for url in pictures:
            opener.check(url, places[at])
        place = f"{places[at]}.content"
        messages.append(_message(message, place, texts[at], len(pictures), len(urls)))
        urls += pictures
    if body.messages[-1].tool_calls:
        raise Problem(400, "what did the call give? A message of the role tool says it", param=of)
    messages = _one_system(_answered_together(messages), tools_told(shape.told()))
    if not any(message.role == "user" for message in messages):
        raise Problem(400, "there is no message of the user's", param=of)
    if len(urls) > settings.pictures:
        told = f"{len(urls)} pictures: at most {settings.pictures} in one conversation"
        raise Problem(400, told, param=of, code="too_many_pictures")
    resolution = body.galago.resolution if body.galago else None
    options = _options(body, shape, settings)
    return Asked(tuple(messages), tuple(urls), options, resolution, shape)


_TOOLS = ("tool", "function")


def _message(message: ChatMessage, place: str, text: str, pictures: int, first: int) -> Message:
    """One turn; pictures stand before the text, as FastVLM was trained.

    Calls of functions and what came of them are told as in Qwen2.5's template (text/tools.py).
    """
    if message.tool_calls and message.role != "assistant":
        told = "only the assistant's messages can hold tool_calls"
        raise Problem(400, told, param=place.replace("content", "tool_calls"))
    if message.role != "user":
        if pictures:
            raise Problem(400, "only the user's messages can hold pictures", param=place)
        if message.role in _TOOLS:
            return Message("tool", (response(text),))
        if message.role == "assistant":
            calls = (one.function for one in message.tool_calls or ())
            said = [text] if text else []
            said += [called(one.name, one.arguments or "{}") for one in calls]
            return Message("assistant", ("\n".join(said),))
        return Message("system", (text,))
    if not text or text.isspace():
        if not pictures:
            raise Problem(400, "the question is empty", param=place, code="missing_value")
        text = PRESETS["describe"]
    return user_message(text, pictures, first)


def _answered_together(messages: Sequence[Message]) -> list[Message]:
    """What came of several calls is one turn, and the user's."""
    found: list[Message] = []
    told = False
    for message in messages:
        if message.role == "tool" and told:
            found[-1] = Message("user", (*found[-1].content, "\n", *message.content))
        else:
            found.append(replace(message, role="user") if message.role == "tool" else message)
        told = message.role == "tool"
    return found


def _one_system(messages: Sequence[Message], tools: str) -> list[Message]:
    """Instructions from wherever they stand, as one message at the beginning; tools behind them."""
    said = [part for m in messages if m.role == "system" for part in m.content]
    rest = [m for m in messages if m.role != "system"]
    text = "\n".join(part for part in said if isinstance(part, str) and part.strip())
    if tools:
        text = f"{text or PromptSpec().system}\n\n{tools}"
    return [Message("system", (text,)), *rest] if text else rest


def _explained(messages: Sequence[Message], form: Form | None) -> Sequence[Message]:
    """What a schema says in words, behind the user's last question."""
    if form is None or not form.words:
        return messages
    at = max(at for at, message in enumerate(messages) if message.role == "user")
    *others, text = messages[at].content
    last = Message("user", (*others, form.asked(str(text))))
    return [*messages[:at], last, *messages[at + 1 :]]


def _options(body: ChatRequest, shape: Shape, settings: Settings) -> SamplingOptions:
    if body.top_logprobs and not body.logprobs:
        told = "top_logprobs goes with logprobs: true"
        raise Problem(400, told, param="top_logprobs", code="invalid_value")
    if body.logprobs and shape.kind == "calls":
        told = "logprobs are not told where functions can be called"
        raise Problem(400, told, param="logprobs", code="invalid_value")
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
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )


def _too_long(settings: Settings, what: str, of: str = "messages") -> Problem:
    return Problem(
        400,
        f"the conversation is too long ({what}): {settings.context} positions fit, pictures and "
        "the answer included",
        code="context_length_exceeded",
        param=of,
    )


def answer(service: Service, question: Asked, into: Answer) -> Iterator[Chunk]:
    """The work of one request, in a thread; empty chunks while pictures are looked at."""
    form = question.shape.form()
    messages = _explained(question.messages, form)
    images: list[EncodedImage] = []
    vlm, pictures = service.answering.of(into.model)
    for url in question.urls:
        data = service.opener.open(url)
        began = time.perf_counter()
        images.append(pictures.encode(data, question.resolution))
        into.vision += time.perf_counter() - began
        yield Chunk("")
    context = service.settings.context
    length = vlm.prompt_length(messages, images)
    if length >= context:
        raise _too_long(service.settings, f"{length} positions")
    most = min(question.options.max_tokens, context - length)
    options = replace(question.options, max_tokens=most, form=form)
    with contextlib.closing(vlm.reply(messages, images, options)) as chunks:  # type: ignore[type-var]
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


def usage_of(stats: Stats) -> dict[str, Any]:
    """Tokens as chat completions count them."""
    return {
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.tokens,
        "total_tokens": stats.prompt_tokens + stats.tokens,
        "prompt_tokens_details": {
            "image_tokens": stats.image_tokens,
            "cached_tokens": stats.cached_tokens,
        },
    }
