"""The routes of the album's long work: a folder is indexed, copies are looked for."""

from __future__ import annotations

import json
import math

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, Field

from galago.server.bodies import BodyRoute
from galago.server.copies import CopiesState
from galago.server.fields import Asked, Flag
from galago.server.folders import FolderList, look_into
from galago.server.indexing import IndexState
from galago.server.problems import Problem, responses
from galago.server.service import Service
from galago.server.visitors import at_home, refusal

__all__ = ["album_routes"]


class IndexRequest(Asked):
    """A folder to add to the album; null looks again at those that are in it."""

    folder: str | None = Field(None, description="A whole path, or one that begins with ~.")


class FoldersRequest(Asked):
    path: str | None = Field(None, description="A folder; null is the home folder.")


class DuplicatesRequest(Asked):
    threshold: float = Field(0.96, ge=0.5, le=1, description="Cosine from which photos are alike.")
    alike: Flag = Field(False, description="Also what is alike without being a copy: bursts.")


def album_routes(service: Service) -> APIRouter:
    """What the page needs to make an album, and to tidy it up."""
    router = APIRouter(prefix="/api", tags=["album"], route_class=BodyRoute)
    _index_routes(router, service)
    _copies_routes(router, service)
    return router


def _index_routes(router: APIRouter, service: Service) -> None:
    settings, indexing = service.settings, service.indexing

    @router.post("/index", responses=responses(404, 409))
    async def start(request: Request, body: IndexRequest) -> IndexState:
        """Begin to index a folder of this computer; it goes on when the page is closed."""
        at_home(request, settings)
        await run_in_threadpool(indexing.begin, body.folder)
        return await run_in_threadpool(indexing.state)

    @router.get("/index", responses=responses())
    async def state(request: Request) -> IndexState:
        """How far indexing is."""
        if (told := refusal(request, settings)) is not None:
            return IndexState(refusal=told)
        return await run_in_threadpool(indexing.state)

    @router.delete("/index", responses=responses())
    async def stop(request: Request) -> IndexState:
        """Stop indexing; what was recorded stays, and the same folder goes on from there."""
        at_home(request, settings)
        indexing.stop()
        return await run_in_threadpool(indexing.state)

    @router.post("/folders", response_model=None, responses=_exactly(FolderList, 404))
    async def folders(request: Request, body: FoldersRequest) -> Response:
        """The folders in one of this computer's, to choose from."""
        at_home(request, settings)
        return _exact(await run_in_threadpool(look_into, body.path))


def _copies_routes(router: APIRouter, service: Service) -> None:
    comparing = service.comparing

    @router.post("/duplicates", response_model=None, responses=_exactly(CopiesState, 404, 409, 500))
    async def compare(body: DuplicatesRequest) -> Response:
        """Begin to look for photos that are the same, or nearly."""
        if math.isnan(body.threshold):
            raise Problem(400, "threshold: use 0.5 to 1", param="threshold")
        await run_in_threadpool(comparing.begin, body.threshold, body.alike)
        return _exact(await run_in_threadpool(comparing.state, 0, 0))

    @router.get("/duplicates", response_model=None, responses=_exactly(CopiesState))
    async def copies(
        first: int = Query(0, ge=0, le=10**9), count: int = Query(20, ge=0, le=100)
    ) -> Response:
        """How far that is, and some of the groups that were found."""
        return _exact(await run_in_threadpool(comparing.state, first, count))

    @router.delete("/duplicates", response_model=None, responses=_exactly(CopiesState))
    async def leave_off() -> Response:
        """Stop looking."""
        comparing.stop()
        return _exact(await run_in_threadpool(comparing.state, 0, 0))


def _exactly(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, object]]:
    return {200: {"model": model}, **responses(*statuses)}


def _exact(answer: BaseModel) -> Response:
    """JSON in ASCII, which carries the half characters of paths that are no text."""
    return Response(json.dumps(answer.model_dump()), media_type="application/json")
