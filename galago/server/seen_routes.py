"""The routes that remember what the page's camera saw, where the server was started to do so."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from galago.server.bodies import BodyRoute
from galago.server.fields import Asked
from galago.server.parts import Seen
from galago.server.problems import Problem, readable, responses
from galago.server.service import Service

__all__ = ["seen_routes"]

_PAUSE = 1.0  # seconds between scenes: whoever reaches the server must not fill the disk


class SeenRequest(Asked):
    image: str = Field(description="The picture that was described, a data URL.")
    caption: str = Field(max_length=4000, description="What was said of it.")


class Kept(BaseModel):
    kept: bool = Field(description="False while another program writes the album: it waits.")


class ForgetRequest(Asked):
    last: float = Field(ge=1, le=86_400, description="What was seen in so many seconds.")


class Forgotten(BaseModel):
    scenes: int


def seen_routes(service: Service) -> APIRouter:
    """What Live on the page asks for when it is to remember."""
    router = APIRouter(prefix="/api", tags=["galago"], route_class=BodyRoute)
    free_at = 0.0

    @router.post("/seen", responses=responses(500, 504))
    async def keep(request: Request, body: SeenRequest) -> Kept:
        """Keep a scene in the album: a small picture, its caption, the time, its vector."""
        nonlocal free_at
        seen = _needed(service)
        service.opener.check(body.image, "image")
        if time.monotonic() < free_at:
            raise Problem(429, "one scene a second is kept, not more", retry_after=1)
        free_at = time.monotonic() + _PAUSE

        def work() -> Kept:
            return Kept(kept=seen.keep(service.opener.open(body.image), readable(body.caption)))

        return await service.run(request, None, work)

    @router.post("/forget", responses=responses(500, 504))
    async def forget(request: Request, body: ForgetRequest) -> Forgotten:
        """Forget what a camera saw of late: pictures, captions, times and vectors, for good."""
        seen = _needed(service)
        return await service.run(request, None, lambda: Forgotten(scenes=seen.forget(body.last)))

    return router


def _needed(service: Service) -> Seen:
    if service.parts.seen is None:
        told = "this server keeps nothing of what a camera sees: start it with --remember"
        raise Problem(403, told, code="not_remembering")
    return service.parts.seen
