"""The routes that OpenAI's clients know."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response, StreamingResponse
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from galago import catalog
from galago.server.bodies import BodyRoute
from galago.server.data_urls import is_picture
from galago.server.openai_answers import (
    Completion,
    Embeddings,
    ModelCard,
    ModelList,
    ResponseAnswer,
)
from galago.server.openai_chat import Answer, Asked, answer, asked, first_of
from galago.server.openai_completion import events, whole
from galago.server.openai_schemas import ChatRequest, EmbeddingRequest, ImagePart, TextPart
from galago.server.problems import Problem, readable, responses
from galago.server.responses import response_events, whole_response
from galago.server.responses_schemas import ResponseRequest, as_chat
from galago.server.scheduler import Job
from galago.server.service import Service, watched
from galago.vlm.reply import Chunk

__all__ = ["openai_routes"]

_CHARACTERS = 100_000  # of one text to embed; a model reads the first few hundred
_ALL_CHARACTERS = 1_000_000  # of the texts of one request
_BATCH = 8
_STREAM = {
    "description": "The answer, or with `stream` server-sent events of its pieces.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}

Float = NDArray[np.float32]


def openai_routes(service: Service) -> APIRouter:
    """Chat, embeddings, models."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=BodyRoute)
    begun = int(time.time())

    @router.post(
        "/chat/completions",
        response_model=None,
        responses={200: {"model": Completion, **_STREAM}, **responses(404, 504)},
    )
    async def chat_completions(request: Request, body: ChatRequest) -> Response:
        """Answer the last message of a conversation with pictures."""
        return await _chat(service, request, body)

    @router.post(
        "/responses",
        response_model=None,
        responses={200: {"model": ResponseAnswer, **_STREAM}, **responses(404, 504)},
    )
    async def create_response(request: Request, body: ResponseRequest) -> Response:
        """Answer as OpenAI's newer API does; nothing is kept of it."""
        return await _respond(service, request, body)

    @router.post(
        "/embeddings",
        response_model=None,
        responses={200: {"model": Embeddings}, **responses(404, 504)},
    )
    async def embeddings(request: Request, body: EmbeddingRequest) -> Response:
        """Texts and pictures as unit vectors of one space."""
        return await _embeddings(service, request, body)

    @router.get("/models", responses={200: {"model": ModelList}, **responses()})
    async def models() -> dict[str, Any]:
        """The models that this server has loaded."""
        return {"object": "list", "data": _cards(service, begun)}

    @router.get("/models/{name:path}", responses={200: {"model": ModelCard}, **responses(404)})
    async def model(name: Annotated[str, InPath(max_length=500)]) -> dict[str, Any]:
        """One of them, by its name."""
        row = catalog.find(name)
        for card in _cards(service, begun):
            if card["id"] in (name, row.name if row else name):
                return card
        told = f"no model is called {readable(name[:100])!r} here: see /v1/models"
        raise Problem(404, told, code="model_not_found", param="model")

    return router


def _cards(service: Service, begun: int) -> list[dict[str, Any]]:
    named = [(name, "fastvlm") for name in service.answering.names()]
    named.append((service.parts.clip.name, "mobileclip"))
    return [
        {"id": name, "object": "model", "created": begun, "owned_by": "galago", "kind": kind}
        for name, kind in named
    ]


class _Events(StreamingResponse):
    """A stream whose work ends when the client goes away, wherever it is."""

    job: Job[Chunk]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.job.close()


async def _chat(service: Service, request: Request, body: ChatRequest) -> Response:
    name = service.answering.named(body.model)
    question = asked(body, service.opener, service.settings)
    about = Answer(name, time.perf_counter(), bool(body.logprobs))
    job = _begin(service, request, body.user, question, about)
    chunks = job.items()
    async with watched(request, job):
        first = await first_of(chunks)
        if not body.stream:
            return JSONResponse(await whole(first, chunks, about, question.shape))
    usage = body.stream_options is not None and body.stream_options.include_usage
    return _streamed(events(first, chunks, about, question.shape, usage=usage), job)


async def _respond(service: Service, request: Request, body: ResponseRequest) -> Response:
    name = service.answering.named(body.model)
    chat, places = as_chat(body)
    question = asked(chat, service.opener, service.settings, places)
    about = Answer(name, time.perf_counter())
    job = _begin(service, request, body.user, question, about)
    chunks = job.items()
    async with watched(request, job):
        first = await first_of(chunks)
        if not body.stream:
            return JSONResponse(await whole_response(first, chunks, about, body, question.shape))
    return _streamed(response_events(first, chunks, about, body, question.shape), job)


def _begin(
    service: Service, request: Request, user: str | None, question: Asked, about: Answer
) -> Job[Chunk]:
    """The work of an answer, queued."""

    def work() -> Iterator[Chunk]:
        for chunk in answer(service, question, about):
            if chunk.stats is not None:
                service.metrics.answered(chunk.stats, about.first_token or 0.0)
            yield chunk

    return service.submit(request, user, work)


def _streamed(pieces: AsyncIterator[str], job: Job[Chunk]) -> Response:
    response = _Events(pieces, media_type="text/event-stream")
    response.job = job
    return response


async def _embeddings(service: Service, request: Request, body: EmbeddingRequest) -> Response:
    clip = service.parts.clip
    service.check_model(body.model, clip.name)
    inputs = [body.input] if isinstance(body.input, str) else body.input
    if not 0 < len(inputs) <= service.settings.inputs:
        told = f"{len(inputs)} inputs: give 1 to {service.settings.inputs}"
        raise Problem(400, told, param="input")
    given = [_given(service, one, at) for at, one in enumerate(inputs)]
    pictures = sum(picture for _, picture in given)
    if pictures > service.settings.embedded:
        told = f"{pictures} pictures: at most {service.settings.embedded} in one request"
        raise Problem(400, told, param="input", code="too_many_pictures")
    characters = sum(len(text) for text, picture in given if not picture)
    if characters > _ALL_CHARACTERS:
        told = f"{characters} characters: at most {_ALL_CHARACTERS} in one request"
        raise Problem(400, told, param="input", code="too_long")
    if body.dimensions not in (None, clip.dim):
        told = f"this model's vectors have {clip.dim} dimensions"
        raise Problem(400, told, param="dimensions")
    packed = body.encoding_format == "base64"
    parts = await service.collect(request, body.user, lambda: _embedded(service, given, packed))
    if not parts or parts[-1] is None:
        raise Problem(503, "the answer was given up")
    return Response(parts[-1], media_type="application/json")


def _given(service: Service, one: str | ImagePart | TextPart, at: int) -> tuple[str, bool]:
    """A text, or a picture's URL and True."""
    if isinstance(one, TextPart):
        one = one.text
    text = one.url if isinstance(one, ImagePart) else one
    if isinstance(one, ImagePart) or is_picture(text):
        service.opener.check(text, f"input.{at}")
        return text, True
    if len(text) > _CHARACTERS or not text or text.isspace():
        told = f"a text must have 1 to {_CHARACTERS} characters"
        raise Problem(400, told, param=f"input.{at}")
    return readable(text), False


def _embedded(
    service: Service, given: Sequence[tuple[str, bool]], packed: bool
) -> Iterator[bytes | None]:
    """The answer as JSON, made in a thread as it may be megabytes; before it None, as `_embed`."""
    clip = service.parts.clip
    rows: dict[int, Float] = {}
    for found in _embed(service, given):
        rows.update(found)
        yield None
    tokens = 0
    for text, picture in given:
        if not picture:
            tokens += clip.count_tokens(text)
            yield None
    data = [
        {
            "object": "embedding",
            "index": at,
            "embedding": _packed(rows[at]) if packed else rows[at].tolist(),
        }
        for at in range(len(given))
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    whole = {"object": "list", "data": data, "model": clip.name, "usage": usage}
    yield json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def _embed(
    service: Service, given: Sequence[tuple[str, bool]]
) -> Iterator[list[tuple[int, Float]]]:
    """Places and their unit rows, some at a time so that nobody waits long for the model.

    Empty lists while pictures are opened: a request that is over ends there.
    """
    parts = service.parts
    for kind in (False, True):
        places = [at for at, (_, picture) in enumerate(given) if picture is kind]
        for start in range(0, len(places), _BATCH):
            part = places[start : start + _BATCH]
            values = [given[at][0] for at in part]
            if kind:
                prepared: list[Float] = []
                for value in values:
                    prepared.append(_prepare(service, value))
                    yield []
                with parts.clip_lock:
                    found = parts.clip.embed_pixels(np.stack(prepared))
            else:
                with parts.clip_lock:
                    found = parts.clip.embed_texts(values)
            yield list(zip(part, found, strict=True))


def _prepare(service: Service, url: str) -> Float:
    return service.parts.clip.prepare(service.opener.open(url))


def _packed(row: Float) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()
