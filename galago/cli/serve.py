"""`galago serve`: the local server and its page."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Annotated

import typer

from galago.cli.announcing import address_of, announce, leave, open_soon
from galago.cli.options import Opening
from galago.cli.serving import Serving, opened
from galago.cli.spread import spread
from galago.engine.precision import check_threads
from galago.errors import MissingExtraError, OptionError

__all__ = ["serve"]

_LAST = 0.2  # seconds for threads whose work is done
_MOST = 64  # workers


@spread
def serve(
    serving: Serving,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", help="Processes behind the port, each with its share of the processors."
        ),
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="By replicas of Ray Serve on a cluster (HOST:PORT, auto) or on this machine.",
        ),
    ] = None,
    replicas: Annotated[
        str,
        typer.Option(metavar="N|N-M", help="With --ray: so many, or as many as the queue needs."),
    ] = "1",
    *,
    opening: Opening,
    view: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    log: Annotated[
        bool, typer.Option("--log", help="A line a request on stderr: route, status, time.")
    ] = False,
) -> None:
    """Serve the page and an OpenAI-compatible API on this computer.

    Other computers reach it only with --host and --api-key. Of what a camera sees nothing is kept
    without --remember, and with it nothing until the page's switch is on. Ctrl-C stops it.

    \b
    Examples:
      galago serve --open
      galago serve -m apple/FastVLM-0.5B --album holiday
      galago serve --remember --keep 7d --album door
      galago serve --workers 4
      GALAGO_API_KEY=… galago serve --host 0.0.0.0
    """
    try:
        import galago.server.app  # noqa: F401
        from galago.server.run import listen
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the server needs {error.name}", "serve") from None

    serving.check()
    if not 1 <= workers <= _MOST:
        raise OptionError(f"--workers {workers} is not possible: use 1 to {_MOST}")
    check_threads(opening.threads)
    if ray is None and replicas != "1":
        raise OptionError(f"--replicas {replicas} is for --ray; on one machine use --workers")
    if ray is not None:
        if workers > 1:
            raise OptionError(f"--workers {workers} and --ray are two ways: use one of them")
        from galago.cli.serve_ray import by_ray

        by_ray(serving, opening, ray, replicas, log=log, view=view)
        return
    listening = listen(serving.host, serving.port)
    with contextlib.closing(listening):
        address = address_of(serving.host, listening.getsockname()[1])
        if workers > 1:
            from galago.cli.serve_workers import by_workers

            by_workers(listening, workers, serving, opening, address, log=log, view=view)
            return
        _alone(listening, serving, opening, address, log=log, view=view)
    _leave_what_hangs()


def _alone(
    listening: socket.socket,
    serving: Serving,
    opening: Opening,
    address: str,
    *,
    log: bool,
    view: bool,
) -> None:
    """In this process, until it is stopped."""
    from galago.server.run import serve as run

    with opened(serving, opening) as (app, said):
        announce(said, f"galago answers at {address} ({said.models}); Ctrl-C stops it")
        if view:
            open_soon(address)
        run(app, listening, leave, grace=serving.grace, log=log)


def _leave_what_hangs() -> None:
    """End without threads that native code holds: Python would wait for them, or abort."""
    until = time.monotonic() + _LAST
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not isinstance(thread, threading.Timer):
            thread.join(max(until - time.monotonic(), 0))
            if thread.is_alive():
                leave()
