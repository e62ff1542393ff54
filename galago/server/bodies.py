"""A request's body to a value of JSON: how much there is to make is known before it is made.

32 MB of "[0,0,…" are sixteen million things to make and to complain of; no request has so many.
What stands inside of texts doesn't count: a picture is one text.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic_core import from_json

from galago.server.problems import Problem

__all__ = ["BodyRoute", "parsed"]

_MARKS = 20_000  # commas, colons and openings of lists and objects
_DEPTH = 50
_BARE = 1 << 20  # bytes outside of texts
_ESCAPES = 2_000_000  # a large picture with its slashes and line ends escaped has half of it
_LARGE = 1 << 20  # bytes that a thread parses


class BodyRoute(APIRoute):
    """A route whose body is read as JSON, whatever its Content-Type says, and within bounds."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        if self.body_field is None:
            return answer

        async def read(request: Request) -> Response:
            # By the stream, as `body()` would keep the bytes as long as the answer takes.
            body = b"".join([part async for part in request.stream() if part])
            try:
                large = len(body) > _LARGE
                value = await run_in_threadpool(parsed, body) if large else parsed(body)
            except Problem as problem:
                if problem.code == "invalid_json":
                    problem.message += _blamed(request.headers.get("content-type", ""))
                raise
            del body
            return await answer(_Read(request, value))

        return read


class _Read(Request):
    """A request whose body has been read."""

    def __init__(self, request: Request, value: Any) -> None:
        headers = [one for one in request.scope["headers"] if one[0] != b"content-type"]
        headers.append((b"content-type", b"application/json"))
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._value = value

    async def body(self) -> bytes:
        return b"read"  # FastAPI asks whether there is one

    async def json(self) -> Any:
        return self._value


def parsed(body: bytes) -> Any:
    """The value; Problem 400 for what isn't JSON, or has too many parts."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if not body or body.isspace():
        raise Problem(400, "the request has no body: send JSON", code="invalid_json")
    _check_bounds(body)
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        told = str(error)
    except RecursionError:
        told = "too deep"
    if b"\\u" in body and body.isascii():  # half a character, as JavaScript cuts texts?
        with contextlib.suppress(ValueError):
            return json.loads(body, parse_constant=_no_number)
    raise Problem(400, f"the body isn't JSON: {told[:100]}", code="invalid_json")


def _blamed(kind: str) -> str:
    """What may be the reason, when the header speaks of something else."""
    kind = kind.partition(";")[0].strip()[:60]
    if not kind or "json" in kind.lower():
        return ""
    return f"; its Content-Type is {kind}: send application/json"


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _check_bounds(body: bytes) -> None:
    """Problem 400 for too many values; whole passes at the speed of C, nothing a byte."""
    if body.count(b"\\") > _ESCAPES:
        raise Problem(400, "the body has too many escapes", code="too_many_values")
    if b"\\" in body:  # without escapes every quote begins or ends a text
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    bare = b""
    many = body.count(b'"') > 2 * _MARKS
    if not many:
        bare = b"".join(body.split(b'"')[::2]).translate(None, b" \t\r\n")
        many = len(bare) > _BARE or sum(map(bare.count, (b",", b":", b"[", b"{"))) > _MARKS
    if many:
        told = f"the body has too many values: at most {_MARKS} fit, and no list needs so many"
        raise Problem(400, told, code="too_many_values")
    depth = deepest = 0
    for one in bare.translate(None, _NO_BRACKETS):
        depth += 1 if one in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > _DEPTH:
        told = f"the body is nested {deepest} deep: at most {_DEPTH}"
        raise Problem(400, told, code="too_many_values")


_NO_BRACKETS = bytes(one for one in range(256) if one not in b"[]{}")
