"""A listening socket, uvicorn on it, and an end that comes in time whatever hangs."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from galago.errors import OptionError
from galago.server.accepting import Accepting
from galago.server.connections import Impatient
from galago.server.last_resort import last_resort

__all__ = ["GRACE", "Server", "listen", "serve", "server_of"]

GRACE = 10.0  # seconds for answers that are on their way when the server is stopped


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


def serve(
    app: ASGIApp,
    listening: socket.socket,
    late: Callable[[], None],
    *,
    grace: float = GRACE,
    log: bool = False,
    worker: int | None = None,
    begun: Callable[[Server], None] | None = None,
) -> None:
    """Answer until SIGINT or SIGTERM; answers on their way have `grace` seconds to end.

    `late` is called, in a thread of its own, when something still hangs then: native code can't
    be told to stop.  Where it doesn't even let threads run, the process is killed two seconds later
    (last_resort).  `log`: a line a request on stderr (method, route, status, time; nothing that
    was asked).  `worker`: the number of this process where others listen on the same socket.
    `begun` is told when connections are taken.
    """
    server = server_of(app, grace=grace, log=log, worker=worker)
    server.begun = begun
    # uvicorn raises the signal once more when it has stopped; being stopped is no failure.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: None)
    server.stopping = partial(_watch, grace, late)
    with last_resort(grace):
        server.run(sockets=[listening])


def _watch(grace: float, late: Callable[[], None]) -> None:
    timer = threading.Timer(grace, late)
    timer.daemon = True
    timer.start()


class Server(uvicorn.Server):
    """uvicorn's, which tells when it begins and when it is asked to stop.

    `shared`: other processes listen on its sockets too.
    """

    stopping: Callable[[], None] | None = None
    begun: Callable[[Server], None] | None = None
    shared = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([] if self.shared else sockets)
        for one in sockets or () if self.shared else ():
            loop = asyncio.get_running_loop()
            self.servers.append(Accepting(loop, one, self._protocol, self._busy))  # type: ignore[arg-type]
        if self.begun is not None:
            self.begun(self)

    def stop(self) -> None:
        """As SIGTERM would; from any thread."""
        self.handle_exit(signal.SIGTERM, None)

    def _protocol(self) -> asyncio.BaseProtocol:
        return Impatient(self.config, self.server_state, self.lifespan.state)

    def _busy(self) -> int:
        return sum(cast(Impatient, one).busy for one in self.server_state.connections)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.stopping is not None and not self.should_exit:
            self.stopping()
        super().handle_exit(sig, frame)


def server_of(
    app: ASGIApp, *, grace: float = GRACE, log: bool = False, worker: int | None = None
) -> Server:
    """The server, not running yet."""
    logger = logging.getLogger("galago.server")
    handler = _Log()
    who = "" if worker is None else f"[{worker}] "
    handler.setFormatter(logging.Formatter(f"%(asctime)s {who}%(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO if log else logging.WARNING)
    logging.getLogger("uvicorn").handlers = [handler]
    logging.getLogger("uvicorn").propagate = False
    config = uvicorn.Config(
        app,
        http=Impatient,
        loop="asyncio",  # others take the signals' pipe for themselves
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # its warnings quote requests
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        # Behind it the scheduler's threads end their last tokens; both within the grace.
        timeout_graceful_shutdown=0.8 * grace,  # type: ignore[arg-type]  # handed to wait_for
        backlog=128,
        workers=1 if worker is None else 2,  # on Windows: a loop that can share a socket
    )
    server = Server(config)
    server.shared = worker is not None
    return server
