"""Bodies on their way in: how large, how late, and how much at once, from one address and all."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from galago.server.problems import Problem
from galago.server.settings import Settings

__all__ = ["Intake", "network_of"]


class Intake:
    """Reads bodies within the limits; what was read counts until it is given back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: Counter[str] = Counter()

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body.  Problem 413, 429 or 408 when it is too much or too slow."""
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._settings.body_bytes:
            raise self._too_large()
        client = network_of(_address(scope))
        try:
            seconds = self._settings.body_seconds
            return await asyncio.wait_for(self._read(client, receive), seconds)
        except (TimeoutError, asyncio.TimeoutError):
            raise Problem(408, "the request did not arrive in time") from None

    def give_back(self, scope: Scope, size: int) -> None:
        self._let_go(network_of(_address(scope)), size)

    async def _read(self, client: str, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "the client went away")
                part = message.get("body", b"")
                size += len(part)
                self._held[client] += len(part)
                if size > self._settings.body_bytes:
                    raise self._too_large()
                self._check_room(client)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
        except BaseException:
            self._let_go(client, size)
            raise

    def _check_room(self, client: str) -> None:
        own = self._held[client] > self._settings.held_each
        if own or self._held.total() > self._settings.held_bytes:
            told = f"busy: too much is being sent at once{' from one address' if own else ''}"
            raise Problem(429, f"{told}; try again", retry_after=1)

    def _let_go(self, client: str, size: int) -> None:
        self._held[client] -= size
        if not self._held[client]:
            del self._held[client]

    def _too_large(self) -> Problem:
        limit = self._settings.body_bytes >> 20
        return Problem(413, f"the request is larger than {limit} MB")


def network_of(address: str) -> str:
    """Whom an address belongs to: of version 6 everybody has 2^64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.ipv4_mapped:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""
