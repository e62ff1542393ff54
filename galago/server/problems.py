"""Errors as OpenAI words them: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

from galago.errors import GalagoError, ImageError, MissingExtraError, OptionError, UnopenedError
from galago.server.fields import placed

__all__ = [
    "Problem",
    "ProblemBody",
    "install",
    "problem_of",
    "readable",
    "responses",
    "short",
    "words_of",
]

log = logging.getLogger("galago.server")


class Problem(Exception):
    """A request that is refused; `status` and the rest as the client sees them."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        message = short(message)
        super().__init__(message)
        self.status, self.message, self.param = status, message, param
        self.code = code or _CODES.get(status, "invalid_request" if status < 500 else "fault")
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    @property
    def kind(self) -> str:
        if self.status in (401, 403):
            return "authentication_error" if self.status == 401 else "permission_error"
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def body(self) -> dict[str, Any]:
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, headers=self.headers)


class _Fields(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ProblemBody(BaseModel):
    """An error."""

    error: _Fields


def short(message: str) -> str:
    """A line for people: a picture that somebody sent is not read out."""
    words = (word if len(word) <= _WORD else f"{word[:40]}…" for word in message[:_LINE].split(" "))
    return " ".join(words) + ("…" if len(message) > _LINE else "")


_LINE, _WORD = 2000, 300


def readable(text: str) -> str:
    """Text for JSON: half characters, which names of files and requests may hold, become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: every refusal that any route may give, and those of this one."""
    every = {400, 401, 403, 408, 413, 429, 503, *statuses}
    return {status: {"model": ProblemBody, "description": _TOLD[status]} for status in every}


_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "under_way",
    408: "timeout",
    413: "too_large",
    429: "busy",
    500: "fault",
    503: "stopping",
    504: "timeout",
}
_TOLD = {
    400: "The request makes no sense; the message says what to change.",
    401: "The API key is missing or wrong.",
    403: "Asked from a foreign page, or under a foreign name.",
    404: "There is no such thing.",
    408: "The request did not arrive in time.",
    409: "The same is under way already.",
    413: "The request is too large.",
    429: "Busy: try again after Retry-After seconds.",
    500: "Something on the server's side can't be used; the message says what.",
    503: "The server is stopping.",
    504: "It took too long.",
}


def problem_of(error: BaseException) -> Problem:
    """What a client is told of an error; nothing of the inside for one that is ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnopenedError):
        return Problem(503, str(error), code="unopened", retry_after=5)
    if isinstance(error, ImageError):
        return Problem(400, words_of(error), code="invalid_image")
    if isinstance(error, OptionError):
        return Problem(400, str(error), code="invalid_value")
    if isinstance(error, MemoryError):
        told = "that needs more memory than there is; make it smaller"
        return Problem(413, told, code="out_of_memory")
    if isinstance(error, GalagoError):
        return Problem(500, str(error), code="unusable")
    # The traceback without the message: messages may quote what people sent.
    log.error("a fault of galago: %s at %s", type(error).__name__, _where(error))
    return Problem(500, "this is a fault of galago; its log has more")


def words_of(error: GalagoError) -> str:
    """An error's words without places on this computer, which what installs an extra names."""
    return error.what if isinstance(error, MissingExtraError) else str(error)


def _where(error: BaseException) -> str:
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " < ".join(reversed(places[-6:]))


def install(app: FastAPI) -> None:
    """Every error of a route in this shape."""

    async def refused(_: Request, error: Exception) -> JSONResponse:
        return problem_of(error).response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _invalid(error).response()

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        told = error.detail if error.status_code != 404 else "there is nothing here; see /docs"
        response = Problem(error.status_code, str(told)).response()
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods(app, request.scope))
        return response

    app.add_exception_handler(Problem, refused)
    app.add_exception_handler(GalagoError, refused)
    app.add_exception_handler(MemoryError, refused)
    app.add_exception_handler(Exception, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """All that an address can be asked by: Starlette tells those of its first route alone."""
    routes = [one for one in app.routes if not isinstance(one, Mount)]  # the page's takes any
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(one.matches({**scope, "method": method})[0] is Match.FULL for one in routes)
    ]


def _invalid(error: RequestValidationError) -> Problem:
    """The complaint that says most, without what was sent: that may be a picture."""
    found = [(_place(one, error.body), one) for one in error.errors()]
    # Of a union that fits nowhere, the kind that fitted furthest.
    place, first = max(found, key=lambda one: len(one[0]))
    where = readable(".".join(place)[:100]) or None
    message = " ".join(readable(str(first["msg"])).split())[:300].removeprefix("Value error, ")
    told = f"{where}: {message}" if where else message
    missing = first["type"] == "missing"
    return Problem(400, told, param=where, code="missing_value" if missing else "invalid_value")


def _place(one: Mapping[str, Any], body: Any) -> list[str]:
    source, *rest = one["loc"] or ("body",)
    if source != "body":
        return [str(part) for part in rest]
    return [*placed(rest, body), *map(str, one.get("ctx", {}).get("place", ()))]
