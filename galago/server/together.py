"""Several processes as one server: what only one of them may do, and the figures of all.

Behind the door, before the routes.  Long work on the album, and what a camera sees, belongs to the
first: it has the state that the page asks for, and one writer is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from galago.server.colleagues import Answered, Asked, Colleagues
from galago.server.problems import Problem

__all__ = ["FIRST", "Together", "joined"]

FIRST = ("/api/index", "/api/duplicates", "/api/seen", "/api/forget")
_WANTED = ("host", "content-type")
# What the routes of the first look at to know who asks (visitors.py).
_WAY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_LONG = 1000  # characters of these, and of a query
_MANY = 20  # of these
_SLACK = 5.0  # seconds that the first has to say by itself that it took too long
_LOOK = 2.0  # seconds for the others to say how they are


class Together:
    """The application of one process, with the others beside it; `timeout` as in Settings."""

    def __init__(self, app: ASGIApp, colleagues: Colleagues, timeout: float) -> None:
        self._app, self._colleagues, self._timeout = app, colleagues, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._colleagues.begin(self._app)
        path, reads = scope.get("path"), scope.get("method") in ("GET", "HEAD")
        if path in FIRST and self._colleagues.number != 1:
            answer = await self._first(scope, receive)
        elif path == "/metrics" and reads:
            answer = await self._metrics()
        elif path == "/health" and reads:
            answer = await self._health()
        else:
            await self._app(scope, receive, send)
            return
        scope["route"] = SimpleNamespace(path=path)  # for the door's figures
        await answer(scope, receive, send)

    async def _first(self, scope: Scope, receive: Receive) -> Response:
        asked = _asked(scope)
        body = await _body(receive) if scope["method"] == "POST" else b""
        found = await self._colleagues.ask(1, asked, body, self._timeout + _SLACK)
        if found is None:
            told = "the worker that looks after the album is being started again; try again"
            raise Problem(503, told, retry_after=5)
        return Response(found.body, found.status, dict(found.headers))

    async def _metrics(self) -> Response:
        found = await self._colleagues.ask_all(Asked("GET", "/metrics"), _LOOK)
        return Response(joined(_bodies(found)), media_type=CONTENT_TYPE_LATEST)

    async def _health(self) -> Response:
        found = await self._colleagues.ask_all(Asked("GET", "/health"), _LOOK)
        workers = {str(one): "ok" if said else "away" for one, said in found.items()}
        told = {"status": "ok", "worker": str(self._colleagues.number), "workers": workers}
        return JSONResponse(told)


def _asked(scope: Scope) -> Asked:
    """A request as the first is to see it; Problem 400 for one that is too long to pass on."""
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    ]
    kept = [(name, value) for name, value in headers if name in (*_WANTED, *_WAY)]
    query = scope["query_string"].decode("latin-1")
    if len(query) > _LONG or len(kept) > _MANY or sum(len(v) for _, v in kept) > _LONG:
        raise Problem(400, "the address or the headers of the request are too long")
    client = scope["client"][0] if scope.get("client") else None
    return Asked(scope["method"], scope["path"], query, tuple(kept), client)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the client went away")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _bodies(found: Mapping[int, Answered | None]) -> dict[int, str | None]:
    return {
        worker: said.body.decode() if said is not None and said.status == 200 else None
        for worker, said in found.items()
    }


def joined(pages: Mapping[int, str | None]) -> bytes:
    """Pages of Prometheus' text format as one, each sample with the `worker` that counted it.

    `galago_worker_up` tells who has a page: 1, or 0 for None.
    """
    registry = CollectorRegistry()
    registry.register(_Joined(pages))
    return generate_latest(registry)


class _Joined(Collector):
    def __init__(self, pages: Mapping[int, str | None]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("galago_worker_up", "Who answers, by number.", labels=("worker",))
        for worker, page in self._pages.items():
            up.add_metric([str(worker)], page is not None)
        yield up
        yield from self._families().values()

    def _families(self) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        for worker, page in self._pages.items():
            for family in text_string_to_metric_families(page or ""):
                own = found.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for name, labels, value in _samples(family):
                    own.add_sample(name, {"worker": str(worker), **labels}, value)
        return found


def _samples(family: Metric) -> Iterator[tuple[str, dict[str, str], float]]:
    for sample in family.samples:
        yield sample.name, sample.labels, sample.value
