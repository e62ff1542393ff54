"""Pictures of other computers, only when the server was told so, and never of this network.

Names are resolved here, every address is checked, and the connection goes to the checked address,
so that a name can't mean another one a moment later.  Redirects are checked like the first URL.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import urllib.parse

from galago.server.problems import Problem

__all__ = ["fetch", "is_public"]

_BYTES = 20 << 20
_SECONDS = 10.0
_REDIRECTS = 3


def fetch(url: str) -> bytes:
    """The bytes of a picture; Problem 400 for what is private, too large, too slow or missing."""
    until = time.monotonic() + _SECONDS
    try:
        for _ in range(_REDIRECTS + 1):
            found = _get(url, until)
            if isinstance(found, bytes):
                return found
            url = urllib.parse.urljoin(url, found)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _refused(f"the picture can't be fetched ({type(error).__name__})") from None
    raise _refused("the picture's address redirects too often")


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, not to this machine or its networks."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found.sixtofour is not None or found.teredo is not None:
            return False  # an IPv4 address in disguise
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _refused(told: str) -> Problem:
    return Problem(400, told, code="remote_image", param="messages")


def _get(url: str, until: float) -> bytes | str:
    """A body, or where a redirect leads."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise _refused("only plain http and https addresses are fetched")
    secure = parts.scheme == "https"
    connection = _connect(parts.hostname, parts.port or (443 if secure else 80), secure, until)
    # A timeout of the socket starts anew with every byte that trickles in; this one doesn't.
    watch = threading.Timer(_left(until), _cut, (connection.sock,))
    watch.daemon = True
    watch.start()
    try:
        path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = urllib.parse.quote(parts.query, safe="/?%:@!$&'()*+,;=~-._")
        connection.request("GET", path + (f"?{query}" if query else ""), headers=_HEADERS)
        answer = connection.getresponse()
        if answer.status in (301, 302, 303, 307, 308):
            return answer.headers.get("Location") or ""
        if answer.status != 200:
            raise _refused(f"the picture's address answers {answer.status}")
        return _read(answer)
    finally:
        watch.cancel()
        connection.close()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


_HEADERS = {"Accept": "image/*", "User-Agent": "galago", "Accept-Encoding": "identity"}


def _connect(host: str, port: int, secure: bool, until: float) -> http.client.HTTPConnection:
    """A connection to an address of the host that was checked."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise _refused("the picture's address is private, and nothing private is fetched")
    plain = socket.create_connection((addresses[0], port), timeout=_left(until))
    connection = http.client.HTTPConnection(host, port)
    try:
        context = ssl.create_default_context()
        connection.sock = context.wrap_socket(plain, server_hostname=host) if secure else plain
    except BaseException:
        plain.close()
        raise
    return connection


def _read(answer: http.client.HTTPResponse) -> bytes:
    data = answer.read(_BYTES + 1)
    if len(data) > _BYTES:
        raise _refused(f"the picture is larger than {_BYTES >> 20} MB")
    if not data or answer.length:  # cut off on the way
        raise _refused("the picture didn't arrive whole")
    return data


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
