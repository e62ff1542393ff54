"""POST /v1/chat/completions: chunks of an answer -> one completion, or server-sent events."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

from galago.server.openai_calls import Arguments, Begun, Piece, Pieces, Words
from galago.server.openai_chat import Answer, usage_of
from galago.server.openai_forms import Shape
from galago.server.problems import Problem, problem_of
from galago.vlm.reply import Chunk, Likely

__all__ = ["events", "whole"]


async def whole(
    first: Chunk, rest: AsyncIterator[Chunk], about: Answer, shape: Shape
) -> dict[str, Any]:
    """The fold into one answer."""
    pieces, last = Pieces(shape), first
    found = pieces.push(first.text)
    likely = [*first.likely]
    async for chunk in rest:
        found += pieces.push(chunk.text)
        likely += chunk.likely
        last = chunk
    if last.stats is None:
        raise Problem(503, "the answer was given up")
    found += pieces.finish()
    text = "".join(piece.text for piece in found if isinstance(piece, Words))
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls := _calls(found):
        message |= {"content": text or None, "tool_calls": calls}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": _reason(last, pieces),
        "logprobs": _logprobs(likely) if about.logprobs else None,
    }
    return {
        **_head(about, "chat.completion"),
        "choices": [choice],
        "usage": usage_of(last.stats),
        "galago": about.timing(last),
    }


def _calls(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for piece in pieces:
        if isinstance(piece, Begun):
            calls.append(_call(piece))
        elif isinstance(piece, Arguments):
            calls[-1]["function"]["arguments"] += piece.text
    return calls


def _call(piece: Begun) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": piece.name, "arguments": ""},
    }


async def events(
    first: Chunk, rest: AsyncIterator[Chunk], about: Answer, shape: Shape, *, usage: bool
) -> AsyncIterator[str]:
    """The fold into server-sent events; an error on the way is an event too."""
    head = _head(about, "chat.completion.chunk")
    pieces = Pieces(shape)

    def event(
        delta: dict[str, Any], reason: str | None = None, likely: Iterable[Likely] = (), **more: Any
    ) -> str:
        told = list(likely)
        logprobs = _logprobs(told) if told else None
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
        return _event({**head, "choices": [choice], **more})

    def of(found: list[Piece], likely: Iterable[Likely]) -> list[str]:
        deltas = [_delta(piece) for piece in found]
        if likely and not deltas:
            deltas = [{}]
        return [event(delta, None, likely if not at else ()) for at, delta in enumerate(deltas)]

    yield event({"role": "assistant", "content": ""})
    try:
        chunk = first
        for line in of(pieces.push(chunk.text), chunk.likely):
            yield line
        async for chunk in rest:
            for line in of(pieces.push(chunk.text), chunk.likely):
                yield line
        if chunk.stats is None:
            raise Problem(503, "the answer was given up")
        for line in of(pieces.finish(), ()):
            yield line
    except Exception as error:
        yield _event(problem_of(error).body())
        return
    timing = about.timing(chunk)
    if usage:
        yield event({}, _reason(chunk, pieces))
        last = {**head, "choices": [], "usage": usage_of(chunk.stats), "galago": timing}
        yield _event(last)
    else:
        yield event({}, _reason(chunk, pieces), galago=timing)
    yield "data: [DONE]\n\n"


def _delta(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, Words):
        return {"content": piece.text}
    call = _call(piece) if isinstance(piece, Begun) else {"function": {"arguments": piece.text}}
    return {"tool_calls": [{"index": 0, **call}]}


def _head(about: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{about.id}",
        "object": kind,
        "created": about.created,
        "model": about.model,
    }


def _event(fields: dict[str, Any]) -> str:
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"


def _reason(chunk: Chunk, pieces: Pieces) -> str:
    # "length" is how clients know that an answer isn't whole.
    if chunk.finish in ("length", "repetition"):
        return "length"
    return "tool_calls" if pieces.called else "stop"


def _logprobs(likely: Iterable[Likely]) -> dict[str, Any]:
    content = [
        {
            **_token(one.token, one.logprob),
            "top_logprobs": [_token(token, logprob) for token, logprob in one.top],
        }
        for one in likely
    ]
    return {"content": content, "refusal": None}


def _token(token: bytes, logprob: float) -> dict[str, Any]:
    return {
        "token": token.decode("utf-8", "replace"),
        "logprob": logprob,
        "bytes": list(token),
    }
