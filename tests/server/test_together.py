"""Several processes as one server: figures of all, and what only the first may do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from galago.server.colleagues import Colleagues
from galago.server.line import Head
from galago.server.problems import Problem
from galago.server.together import FIRST, Together, joined


def page(count: int) -> str:
    registry = CollectorRegistry()
    Counter("galago_tokens", "Tokens.", ("kind",), registry=registry).labels("answer").inc(count)
    Histogram("galago_seconds", "Seconds.", buckets=(1, 2), registry=registry).observe(count)
    return generate_latest(registry).decode()


def test_figures_of_all_stand_on_one_page_by_worker() -> None:
    families = list(
        text_string_to_metric_families(joined({1: page(1), 2: page(5), 3: None}).decode())
    )
    assert len({family.name for family in families}) == len(families)  # each told once
    found = {
        (sample.name, sample.labels["worker"], sample.labels.get("le")): sample.value
        for family in families
        for sample in family.samples
    }
    assert [found["galago_worker_up", one, None] for one in "123"] == [1, 1, 0]
    assert [found["galago_tokens_total", one, None] for one in "12"] == [1, 5]
    assert [found["galago_seconds_bucket", one, "1.0"] for one in "12"] == [1, 0]
    assert ("galago_tokens_total", "3", None) not in found
    kinds = {family.name: family.type for family in families}
    assert kinds["galago_tokens"] == "counter" and kinds["galago_seconds"] == "histogram"


class Wire:
    """The process between all, as two of them see it; what is said to one of the dead is lost."""

    def __init__(self) -> None:
        self.there: dict[int, Colleagues] = {}

    def line(self, number: int) -> Any:
        wire = self

        class Line:
            def say(self, head: Head, body: bytes = b"") -> None:
                head = json.loads(json.dumps(head))
                other = wire.there.get(head["worker"])
                if other is not None:
                    other.heard({**head, "worker": number}, body)
                elif head["do"] == "ask":
                    nobody = {"do": "answer", "number": head["number"], "status": 0, "headers": []}
                    wire.there[number].heard(nobody, b"")

        return Line()


def app_of(number: int) -> Starlette:
    async def echo(request: Request) -> Response:
        sent = await request.body()
        seen = {
            "worker": number,
            "client": request.client.host if request.client else None,
            "query": str(request.query_params),
            "via": request.headers.get("x-forwarded-for"),
            "cookie": request.headers.get("cookie"),
            "body": sent.decode(),
        }
        return Response(json.dumps(seen), 202, {"X-Told": "y"}, "application/json")

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(page(number))

    async def health(_: Request) -> Response:
        return PlainTextResponse("")

    routes = [Route(path, echo, methods=["GET", "POST"]) for path in (*FIRST, "/other")]
    return Starlette(routes=[*routes, Route("/metrics", metrics), Route("/health", health)])


def asked(
    number: int,
    path: str,
    *,
    there: tuple[int, ...] = (1, 2),
    headers: Any = (),
    body: str = "",
    verb: str = "",
) -> tuple[int, dict[bytes, bytes], bytes]:
    """What the worker of that number answers, of two, where these live."""

    async def ask() -> tuple[int, dict[bytes, bytes], bytes]:
        wire, apps = Wire(), {}
        for one in there:
            wire.there[one] = Colleagues(one, 2, wire.line(one))
            apps[one] = Together(app_of(one), wire.there[one], 5.0)
            wire.there[one].begin(app_of(one))
        sent = [{"type": "http.request", "body": body.encode(), "more_body": False}]
        got: list[Any] = []

        async def receive() -> Any:
            return sent.pop()

        async def send(message: Any) -> None:
            got.append(message)

        scope = {
            "type": "http", "method": verb or ("POST" if body else "GET"), "path": path,
            "raw_path": path.encode(), "query_string": b"first=3", "client": ("192.0.2.1", 9),
            "headers": [(b"host", b"here"), (b"cookie", b"c"), *headers], "http_version": "1.1",
            "server": None, "scheme": "http", "root_path": "",
        }  # fmt: skip
        await apps[number](scope, receive, send)
        return got[0]["status"], dict(got[0]["headers"]), b"".join(m["body"] for m in got[1:])

    return asyncio.run(ask())


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("path", FIRST)
def test_the_album_is_the_firsts(number: int, path: str) -> None:
    way = [(b"x-forwarded-for", b"198.51.100.7")]
    status, headers, body = asked(number, path, headers=way, body='{"folder": null}')
    told = json.loads(body)
    assert (
        status == 202
        and headers[b"x-told"] == b"y"
        and int(headers[b"content-length"]) == len(body)
    )
    assert told["worker"] == 1 and told["body"] == '{"folder": null}' and told["query"] == "first=3"
    # Who asks is seen there as here: who sits at this computer, and who comes through a proxy.
    assert told["client"] == "192.0.2.1" and told["via"] == "198.51.100.7"
    assert told["cookie"] == ("c" if number == 1 else None)


def test_all_else_is_answered_here() -> None:
    assert json.loads(asked(2, "/other")[2])["worker"] == 2


def test_without_the_first_its_work_is_refused_for_a_while() -> None:
    with pytest.raises(Problem) as caught:
        asked(2, FIRST[0], there=(2,))
    assert caught.value.status == 503 and caught.value.headers["Retry-After"]


@pytest.mark.parametrize("headers", [[(b"via", b"x" * 5000)], [(b"via", b"")] * 4000])
def test_a_request_too_long_to_pass_on_is_refused(headers: Any) -> None:
    with pytest.raises(Problem) as caught:
        asked(2, FIRST[0], headers=headers)
    assert caught.value.status == 400


def test_a_body_is_read_where_one_belongs_alone() -> None:
    assert json.loads(asked(2, FIRST[0], body="kept")[2])["body"] == "kept"
    assert json.loads(asked(2, FIRST[0], body="never read", verb="GET")[2])["body"] == ""


@pytest.mark.parametrize(("there", "second"), [((1, 2), "ok"), ((1,), "away")])
def test_health_says_who_is_there(there: tuple[int, ...], second: str) -> None:
    status, _, body = asked(1, "/health", there=there)
    told = json.loads(body)
    assert status == 200 and told["status"] == "ok" and told["worker"] == "1"
    assert told["workers"] == {"1": "ok", "2": second}


def test_whoever_is_asked_has_the_figures_of_all() -> None:
    found = asked(2, "/metrics")[2].decode()
    assert 'galago_tokens_total{kind="answer",worker="1"} 1.0' in found
    assert 'galago_tokens_total{kind="answer",worker="2"} 2.0' in found
