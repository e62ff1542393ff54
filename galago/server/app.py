"""The application: routes put together behind the door."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

import galago.server.problems as problems
from galago.server.album_routes import album_routes
from galago.server.api_docs import STYLE_PATH, described, page, style
from galago.server.colleagues import Colleagues
from galago.server.openai_routes import openai_routes
from galago.server.page_routes import page_routes
from galago.server.parts import Parts
from galago.server.security import Door
from galago.server.seen_routes import seen_routes
from galago.server.service import Service
from galago.server.settings import Settings
from galago.server.together import Together

__all__ = ["create_app"]

_NO_PAGE = (
    "The page isn't built: `make page` builds it (it needs Node). "
    "The API works without it: /v1/chat/completions as OpenAI's, all of it under /docs.\n"
)


def create_app(
    parts: Parts, settings: Settings, version: str, colleagues: Colleagues | None = None
) -> ASGIApp:
    """The ASGI application of one server; its threads run until its lifespan ends.

    `colleagues`: other processes that answer behind the same port.
    """
    service = Service.begin(parts, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.stop(0.15 * settings.grace)

    app = FastAPI(
        title="galago",
        version=version,
        description="Questions about pictures, answered on this computer.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    problems.install(app)
    reading: set[str] = set()
    routers = (
        *(openai_routes(service), page_routes(service, version)),
        *(album_routes(service), seen_routes(service)),
    )
    for router in routers:
        app.include_router(router)
        routes = (route for route in router.routes if isinstance(route, APIRoute))
        reading |= {route.path for route in routes if route.body_field is not None}
    _plain_routes(app, service)
    schema = described(app)
    app.openapi = lambda: schema  # type: ignore[method-assign]
    inner = app if colleagues is None else Together(app, colleagues, settings.timeout)
    return Door(inner, settings, service.metrics, reading)


def _plain_routes(app: FastAPI, service: Service) -> None:
    """Health, figures, the description, and the page."""

    @app.get("/health", responses=problems.responses(), tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses=problems.responses(),
        tags=["server"],
    )
    async def metrics() -> PlainTextResponse:
        """Figures in Prometheus' text format."""
        return PlainTextResponse(service.metrics.page())

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page(app.openapi(), str(request.base_url).rstrip("/")))

    @app.get(STYLE_PATH, include_in_schema=False)
    async def docs_style() -> Response:
        return Response(style(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    static = service.settings.static
    built = (static / "index.html").is_file()
    if built:  # not at "/": it would answer for the routes that know other methods
        app.mount("/assets", StaticFiles(directory=static / "assets"), name="page")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index() -> Response:
        return FileResponse(static / "index.html") if built else PlainTextResponse(_NO_PAGE)
