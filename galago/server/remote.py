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
_HEADERS = {"Accept": "image/*", "User-Agent": "galago", "Accept-Encoding": "identity"}
_GLOBAL = ipaddress.ip_network("2000::/3")  # all that IANA has given out for the internet


def fetch(url: str) -> bytes:
    """The bytes of a picture; Problem 400 for what is private, too large, too slow or missing."""
    one = _Fetch(url)
    # Nothing can hurry a name server, and a socket's timeout starts anew with every byte that
    # trickles in: so a thread does the work, and who waits for it keeps the time.
    thread = threading.Thread(target=one.run, name="galago-fetch", daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return one.end()


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, not to this machine or its networks."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        # An IPv4 address in disguise, inside the global range; NAT64's lie outside it.
        if found not in _GLOBAL or found.sixtofour is not None or found.teredo is not None:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _refused(told: str) -> Problem:
    return Problem(400, told, code="remote_image")


class _Fetch:
    """One picture on its way, in a thread of its own, until `end` is called."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._until = time.monotonic() + _SECONDS
        self._lock = threading.Lock()
        self._ended = False
        self._socket: socket.socket | None = None
        self._found: bytes | Exception | None = None

    def run(self) -> None:
        try:
            self._found = self._follow()
        except Exception as error:  # told by `end`, where somebody waits
            self._found = error

    def end(self) -> bytes:
        """What was fetched; raises what went wrong, and cuts what is still on its way."""
        with self._lock:
            self._ended, found = True, self._found
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # socket's own: SSLSocket's takes the TLS from under the thread that reads
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        if isinstance(found, bytes):
            return found
        if isinstance(found, Problem):
            raise found
        if isinstance(found, (OSError, http.client.HTTPException, ValueError)):
            raise _refused(f"the picture can't be fetched ({type(found).__name__})")
        if found is not None:
            raise found
        raise _refused(f"the picture didn't arrive within {_SECONDS:.0f} seconds")

    def _follow(self) -> bytes:
        url = self._url
        for _ in range(_REDIRECTS + 1):
            found = self._get(url)
            if isinstance(found, bytes):
                return found
            url = urllib.parse.urljoin(url, found)
        raise _refused("the picture's address redirects too often")

    def _get(self, url: str) -> bytes | str:
        """A body, or where a redirect leads."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise _refused("only plain http and https addresses are fetched")
        usual = 443 if parts.scheme == "https" else 80
        port = usual if parts.port is None else parts.port
        if not port:  # 0 is none
            raise _refused("only plain http and https addresses are fetched")
        connection = http.client.HTTPConnection(parts.hostname, port)
        connection.default_port = usual  # not named in the Host header
        connection.sock = self._connect(parts.hostname, port, parts.scheme == "https")
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
            self._hold(None)
            connection.close()

    def _connect(self, host: str, port: int, secure: bool) -> socket.socket:
        """A connection to an address of the host that was checked."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(is_public(address) for address in addresses):
            raise _refused("the picture's address is private, and nothing private is fetched")
        used = socket.create_connection((addresses[0], port), timeout=self._left())
        try:
            if secure:
                context = ssl.create_default_context()
                used = context.wrap_socket(
                    used, server_hostname=host, do_handshake_on_connect=False
                )
            self._hold(used)
            if isinstance(used, ssl.SSLSocket):
                used.do_handshake()
        except BaseException:
            self._hold(None)
            used.close()
            raise
        return used

    def _hold(self, used: socket.socket | None) -> None:
        """From now on `end` cuts this connection."""
        with self._lock:
            self._socket = used
            if used is not None and self._ended:
                raise TimeoutError

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _read(answer: http.client.HTTPResponse) -> bytes:
    data = answer.read(_BYTES + 1)
    if len(data) > _BYTES:
        raise _refused(f"the picture is larger than {_BYTES >> 20} MB")
    if not data or answer.length:  # cut off on the way
        raise _refused("the picture didn't arrive whole")
    return data
