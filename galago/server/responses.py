"""POST /v1/responses: chunks of an answer -> one response, or OpenAI's sequence of events.

Nothing is kept: a conversation is sent anew with each request.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from galago.server.openai_calls import Begun, Piece, Pieces, Words
from galago.server.openai_chat import Answer
from galago.server.openai_forms import Shape
from galago.server.problems import Problem, problem_of
from galago.server.responses_schemas import ResponseRequest
from galago.vlm.reply import Chunk

__all__ = ["response_events", "whole_response"]

Event = dict[str, Any]


async def whole_response(
    first: Chunk, rest: AsyncIterator[Chunk], about: Answer, body: ResponseRequest, shape: Shape
) -> dict[str, Any]:
    """The fold into one response."""
    building, last = _Building(about, body, shape), first
    for _ in building.push(first):
        pass
    async for chunk in rest:
        for _ in building.push(chunk):
            pass
        last = chunk
    for _ in building.end(last):
        pass
    return building.response


async def response_events(
    first: Chunk, rest: AsyncIterator[Chunk], about: Answer, body: ResponseRequest, shape: Shape
) -> AsyncIterator[str]:
    """The fold into server-sent events; an error on the way is an event too."""
    building, last = _Building(about, body, shape), first
    count = -1

    def lines(events: Iterable[Event]) -> Iterator[str]:
        nonlocal count
        for event in events:
            count += 1
            data = json.dumps({**event, "sequence_number": count}, ensure_ascii=False)
            yield f"event: {event['type']}\ndata: {data}\n\n"

    for line in lines(building.begin()):
        yield line
    try:
        for line in lines(building.push(first)):
            yield line
        async for chunk in rest:
            last = chunk
            for line in lines(building.push(chunk)):
                yield line
        for line in lines(building.end(last)):
            yield line
    except Exception as error:
        for line in lines(building.fail(problem_of(error))):
            yield line


class _Building:
    """A response as it grows; each step is told as events."""

    def __init__(self, about: Answer, body: ResponseRequest, shape: Shape) -> None:
        self._about, self._pieces = about, Pieces(shape)
        self.response = {**_echo(body), **_head(about)}
        self._output: list[dict[str, Any]] = self.response["output"]

    def begin(self) -> Iterator[Event]:
        for kind in ("created", "in_progress"):
            yield {"type": f"response.{kind}", "response": self.response}

    def push(self, chunk: Chunk) -> Iterator[Event]:
        for piece in self._pieces.push(chunk.text):
            yield from self._take(piece)

    def end(self, last: Chunk) -> Iterator[Event]:
        """After the last chunk."""
        stats = last.stats
        if stats is None:
            raise Problem(503, "the answer was given up")
        for piece in self._pieces.finish():
            yield from self._take(piece)
        if not self._output:
            yield from self._open_words()
        cut = last.finish in ("length", "repetition")
        status = "incomplete" if cut else "completed"
        yield from self._close(status)
        self.response |= {
            "status": status,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": stats.prompt_tokens,
                "input_tokens_details": {
                    "cached_tokens": stats.cached_tokens,
                    "cache_write_tokens": 0,
                },
                "output_tokens": stats.tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": stats.prompt_tokens + stats.tokens,
            },
            "galago": self._about.timing(last),
        }
        yield {"type": f"response.{status}", "response": self.response}

    def fail(self, problem: Problem) -> Iterator[Event]:
        error = {"code": "server_error", "message": problem.message}
        self.response |= {"status": "failed", "error": error}
        yield {"type": "response.failed", "response": self.response}

    def _take(self, piece: Piece) -> Iterator[Event]:
        if isinstance(piece, Begun):
            yield from self._close("completed")
            yield from self._open_call(piece.name)
        elif isinstance(piece, Words):
            if not self._output:
                yield from self._open_words()
            self._part()["text"] += piece.text
            more = {"content_index": 0, "delta": piece.text, "logprobs": []}
            yield {"type": "response.output_text.delta", **self._at(), **more}
        else:
            self._output[-1]["arguments"] += piece.text
            kind = "response.function_call_arguments.delta"
            yield {"type": kind, **self._at(), "delta": piece.text}

    def _open_words(self) -> Iterator[Event]:
        item = {"id": self._id("msg"), "type": "message", "role": "assistant", "content": []}
        yield from self._open(item)
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        self._output[-1]["content"].append(part)
        yield {
            "type": "response.content_part.added",
            **self._at(),
            "content_index": 0,
            "part": dict(part),
        }

    def _open_call(self, name: str) -> Iterator[Event]:
        item = {"id": self._id("fc"), "type": "function_call", "name": name, "arguments": ""}
        yield from self._open(item | {"call_id": self._id("call")})

    def _open(self, item: dict[str, Any]) -> Iterator[Event]:
        self._output.append(item | {"status": "in_progress"})
        at = len(self._output) - 1
        yield {"type": "response.output_item.added", "output_index": at, "item": self._output[at]}

    def _close(self, status: str) -> Iterator[Event]:
        """The item that was begun last is as whole as it becomes."""
        if not self._output or self._output[-1]["status"] != "in_progress":
            return
        item = self._output[-1]
        if item["type"] == "message":
            part, at = self._part(), {**self._at(), "content_index": 0}
            more = {"text": part["text"], "logprobs": []}
            yield {"type": "response.output_text.done", **at, **more}
            yield {"type": "response.content_part.done", **at, "part": part}
        else:
            more = {"arguments": item["arguments"], "name": item["name"]}
            yield {"type": "response.function_call_arguments.done", **self._at(), **more}
        item["status"] = status
        place = len(self._output) - 1
        yield {"type": "response.output_item.done", "output_index": place, "item": item}

    def _part(self) -> dict[str, Any]:
        part: dict[str, Any] = self._output[-1]["content"][0]
        return part

    def _at(self) -> dict[str, Any]:
        return {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._about.id}{len(self._output)}"


def _head(about: Answer) -> dict[str, Any]:
    return {
        "id": f"resp_{about.id}",
        "object": "response",
        "created_at": about.created,
        "status": "in_progress",
        "model": about.model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }


def _echo(body: ResponseRequest) -> dict[str, Any]:
    """What was asked, as responses repeat it; and that nothing is stored."""
    asked = body.model_dump(by_alias=True, exclude_none=True)
    text = asked.get("text", {})
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata if isinstance(body.metadata, dict) else {},
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.temperature or 0.0,
        "text": {"format": text.get("format", {"type": "text"})},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "user": body.user,
    }
