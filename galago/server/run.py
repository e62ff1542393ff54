"""A listening socket and uvicorn on it, with patience for nobody who keeps a connection idle."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from galago.errors import OptionError

__all__ = ["listen", "serve", "server_of"]

_HEAD_SECONDS = 10.0  # until a request's head must be complete
_CONNECTIONS = 256
_GRACE = 10  # seconds for answers that are on their way when the server is stopped


class Impatient(H11Protocol):
    """Closes connections whose request doesn't come (slow-loris), and those that are too many."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._idle:
            if self._late is None:
                self._wait()
        elif self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(_HEAD_SECONDS, self._close)

    def _close(self) -> None:
        self._late = None
        if self._idle:
            self.transport.abort()


class _Log(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines on stderr; a full disk behind it loses lines, never the server."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; OptionError when the port or the address can't be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # there it would let two servers share a port
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, port))
            found.listen(128)
        except BaseException:
            found.close()
            raise
        return found
    except socket.gaierror:
        raise OptionError(f"--host {host} is no address of this computer") from None
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            told = f"port {port} is in use: stop the other program, or choose another --port"
        elif code in (errno.EACCES, errno.EPERM):
            told = f"port {port} needs rights that you don't have: choose a --port above 1023"
        elif code == errno.EADDRNOTAVAIL:
            told = f"--host {host} is no address of this computer"
        else:
            told = f"{host} port {port} can't be used ({error})"
        raise OptionError(told) from None


def serve(app: ASGIApp, listening: socket.socket, *, log: bool = False) -> None:
    """Answer until SIGINT or SIGTERM; answers on their way have ten seconds to end.

    `log`: a line a request on stderr (method, route, status, time; nothing that was asked).
    """
    server = server_of(app, log=log)
    # uvicorn raises the signal once more when it has stopped; being stopped is no failure.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: None)
    server.run(sockets=[listening])


def server_of(app: ASGIApp, *, log: bool = False) -> uvicorn.Server:
    """The server, not running yet."""
    logger = logging.getLogger("galago.server")
    handler = _Log()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO if log else logging.WARNING)
    logging.getLogger("uvicorn").handlers = [handler]
    logging.getLogger("uvicorn").propagate = False
    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # its warnings quote requests
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE,
        backlog=128,
    )
    return uvicorn.Server(config)
