"""Who sits at this computer: its disk is for that person, or for whoever has the key."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from galago.server.problems import Problem
from galago.server.settings import Settings

__all__ = ["at_home", "refusal"]

_AT_HOME = ("localhost", "127.0.0.1", "::1")
# What proxies and tunnels add: behind one everybody seems to come from this computer.
_BY_WAY_OF = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_REFUSED = (
    "folders are looked through and indexed only for the person at this computer, or with the "
    "API key of `galago serve --api-key`"
)


def refusal(request: Request, settings: Settings) -> str | None:
    """Why this visitor may not touch this computer's folders; None for one who may.

    Where there is a key, the door has asked for it already.
    """
    if settings.api_key is not None:
        return None
    name = request.url.hostname or ""
    near = request.client is not None and _is_loopback(request.client.host)
    if near and name in _AT_HOME and not any(one in request.headers for one in _BY_WAY_OF):
        return None
    return _REFUSED


def at_home(request: Request, settings: Settings) -> None:
    """Problem 403 for a visitor who may not."""
    if (told := refusal(request, settings)) is not None:
        raise Problem(403, told, code="not_at_home")


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
