"""`galago serve`: the local server and its page."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Annotated

import typer

from galago.cli import albums, options
from galago.cli.album_work import DeskIndexer, desk_duplicates
from galago.cli.desk import AlbumDesk
from galago.cli.durations import length_of
from galago.cli.interpret import loaded_translator
from galago.cli.live_model import live_beside
from galago.cli.options import Opening
from galago.cli.remember import introduce
from galago.cli.spread import spread
from galago.cli.terminal import complain, say
from galago.errors import MissingExtraError, OptionError
from galago.version import __version__

__all__ = ["serve"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY = "GALAGO_API_KEY"
_LAST = 0.2  # seconds for threads whose work is done


@spread
def serve(
    clip: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A MobileCLIP; the album's own by default, the best that is here without one.",
            autocompletion=options.complete_clip,
        ),
    ] = None,
    album: albums.AlbumName = None,
    remember: Annotated[
        bool,
        typer.Option(
            "--remember",
            help="Let Live on the page keep each new scene in the album, when its switch is on.",
        ),
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long this album remembers scenes from now on (12h, 7d)."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; others need --api-key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0 takes a free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar=KEY,
            help="What requests must bring along (better in the environment: others see options).",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Answer to this name too (may be repeated)."),
    ] = None,
    allow_remote_images: Annotated[
        bool,
        typer.Option(
            "--allow-remote-images", help="Fetch pictures from public addresses when asked to."
        ),
    ] = False,
    parallel: Annotated[int, typer.Option(metavar="N", help="Answers at the same time.")] = 4,
    queue: Annotated[int, typer.Option(metavar="N", help="Requests that may wait.")] = 64,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="For one request, the wait included.")
    ] = 300.0,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="For answers on their way when it is stopped.")
    ] = 10.0,
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
      GALAGO_API_KEY=… galago serve --host 0.0.0.0
    """
    try:
        from galago.server.app import create_app
        from galago.server.run import listen
        from galago.server.run import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the server needs {error.name}", "serve") from None
    from galago.media.pool import PicturePool
    from galago.server import Parts, Settings

    _check(host, api_key, parallel, queue, timeout, grace)
    if keep is not None and not remember:
        raise OptionError(f"--keep {keep} says how long scenes stay: give --remember, too")
    limit = None if keep is None else length_of("--keep", keep)
    listening = listen(host, port)
    with contextlib.closing(listening), PicturePool(min(4, os.cpu_count() or 1)).warm() as pool:
        vlm = opening.load(pool=pool)
        vlm.keep_caches(max(2, parallel))
        threads, offline = opening.threads, opening.offline
        desk = AlbumDesk(album, clip, pool, threads=threads, offline=offline, may_be_new=remember)
        seen = desk.keeper(limit) if remember else None
        translate = loaded_translator(vlm)
        parts = Parts(
            vlm,
            desk.clip,
            desk.guide,
            desk.lock,
            pool,
            translate=translate,
            seen=seen,
            live=live_beside(vlm, opening, pool),
            indexer=DeskIndexer(desk),
            duplicates=desk_duplicates(desk),
        )
        settings = Settings(
            api_key=None if api_key is None else api_key.strip(),  # files end in a newline
            hosts=tuple(allow_host or ()) if host in _LOOPBACK else _names(host, allow_host),
            any_address=host not in _LOOPBACK,
            allow_remote_images=allow_remote_images,
            context=vlm.spec.text.positions,
            parallel=parallel,
            queue=queue,
            timeout=timeout,
            grace=grace,
        )
        app = create_app(parts, settings, __version__)
        address = _address(host, listening.getsockname()[1])
        with contextlib.suppress(OSError):  # a full disk behind stderr is no reason not to serve
            if desk.refusal is not None:
                complain(f"the album can't be searched: {desk.refusal}")
            if seen is not None:
                say(introduce(seen.folder))
            say(f"galago answers at {address} ({vlm.name}, {desk.clip.name}); Ctrl-C stops it")
            if parts.live is not None:
                say(f"Live is for {parts.live.name}, the quickest here; -m takes one for all")
        if view:
            _open_soon(address)
        run(app, listening, _leave, grace=grace, log=log)
    _leave_what_hangs()


def _leave_what_hangs() -> None:
    """End without threads that native code holds: Python would wait for them, or abort."""
    until = time.monotonic() + _LAST
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not isinstance(thread, threading.Timer):
            thread.join(max(until - time.monotonic(), 0))
            if thread.is_alive():
                _leave()


def _leave() -> None:
    """End at once, with what was written; being stopped is no failure."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(0)


def _check(
    host: str, api_key: str | None, parallel: int, queue: int, timeout: float, grace: float
) -> None:
    """OptionError before anything is opened."""
    if host not in _LOOPBACK and not api_key:
        raise OptionError(
            f"--host {host} lets other computers in: give an --api-key (or {KEY}) that they need"
        )
    if api_key is not None and (not api_key.strip() or not api_key.isascii()):
        raise OptionError("--api-key must be ASCII characters, and not empty")
    if not 1 <= parallel <= 64:
        raise OptionError(f"--parallel {parallel} is not possible: use 1 to 64")
    if not 0 <= queue <= 10_000:
        raise OptionError(f"--queue {queue} is not possible: use 0 to 10000")
    if not 1 <= timeout <= 86_400:
        raise OptionError(f"--timeout {timeout} is not possible: use 1 to 86400 seconds")
    if not 0.1 <= grace <= 3600:
        raise OptionError(f"--grace {grace} is not possible: use 0.1 to 3600 seconds")


def _names(host: str, more: list[str] | None) -> tuple[str, ...]:
    """What this computer may be called by others."""
    import socket

    own = socket.gethostname()
    return (host, own, f"{own}.local", *(more or ()))


def _address(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def _open_soon(address: str) -> None:
    """Show the page once the server answers: the socket listens already, so a browser waits."""
    import webbrowser

    threading.Thread(target=lambda: webbrowser.open(address), daemon=True).start()
