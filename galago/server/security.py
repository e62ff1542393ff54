"""The door: who may ask, and what every answer says to browsers.

Plain ASGI around everything else.  A browser lets any page send requests to 127.0.0.1, and a name
that suddenly means 127.0.0.1 (DNS rebinding) makes them look like the page's own, so the Host, the
Origin and what the browser says of the fetch are checked; nothing is ever shared across origins.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galago.server.intake import Intake
from galago.server.metrics import Metrics
from galago.server.problems import Problem, problem_of
from galago.server.settings import Settings

__all__ = ["Door"]

log = logging.getLogger("galago.server")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), display-capture=(self), microphone=(), geolocation=()",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PAGES = ("/", "/docs")  # that a link of another page may lead to
_OPEN = (*_PAGES, "/openapi.json", "/health")  # a browser's address bar can't send a key


class Door:
    """Checks, then the app; one line of log a request, without what was asked.

    `reading`: paths whose POST takes a body; of others' none is read, nor counted.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, reading: Collection[str]
    ) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._hosts = {*_LOOPBACK, *(host.lower() for host in settings.hosts)}
        self._reading = frozenset(reading)
        self._intake = Intake(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if unread:  # parsing it for nobody would cost others their turns
                    headers["Connection"] = "close"
                cached = "/assets/", "/api/photo/"
                if not scope["path"].startswith(cached):
                    headers.setdefault("Cache-Control", "no-store")
            # Who doesn't read for so long has gone, whatever the connection says.
            await asyncio.wait_for(send(message), self._settings.body_seconds)

        held = 0
        unread = "transfer-encoding" in Headers(scope=scope)
        try:
            self._check(scope)
            if scope["path"] in self._reading and scope["method"] == "POST":
                body = await self._intake.read(scope, receive)
                held, unread = len(body), False
                receive = _again([body], receive)
                del body  # it may go as soon as it is parsed
            await self._app(scope, receive, answer)
        except Exception as error:  # the app has told its own already
            if not status:
                await problem_of(error).response()(scope, receive, answer)
        finally:
            self._intake.give_back(scope, held)
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.monotonic() - began
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            log.info("%s %s %d %.0f ms", scope["method"], route, status, seconds * 1000)

    # -- who ---------------------------------------------------------------------------------------

    def _check(self, scope: Scope) -> None:
        """Problem for a request that may not be made."""
        headers, path = Headers(scope=scope), scope["path"]
        host = _host_of(headers.get("host", ""))
        if not self._known(host):
            raise Problem(403, "this server doesn't answer to that name; see --allow-host")
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != headers["host"].lower():
            raise Problem(403, "another page may not use this server")
        public = path in _OPEN or path.startswith("/assets/")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path not in _PAGES:
            raise Problem(403, "another page may not use this server")
        if self._settings.api_key is not None and not public:
            self._check_key(headers.get("authorization", ""))

    def _check_key(self, given: str) -> None:
        scheme, _, key = given.partition(" ")
        wanted = (self._settings.api_key or "").encode()
        fits = hmac.compare_digest(key.strip().encode("utf-8", "replace"), wanted)
        if scheme.lower() != "bearer" or not fits:
            raise Problem(401, "the API key is missing or wrong")

    def _known(self, host: str) -> bool:
        if host in self._hosts:
            return True
        return self._settings.any_address and _is_address(host)


def _again(bodies: list[bytes], receive: Receive) -> Receive:
    """The body as one message, kept no longer; then whatever follows: the client going away."""

    async def next_message() -> Message:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        return await receive()

    return next_message


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # "http://["
        return None


def _host_of(header: str) -> str:
    """The name in a Host header: no port, no brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
