"""What people are told when a server begins, and how its process ends."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

from galago.cli.remember import introduce
from galago.cli.serving import Said
from galago.cli.terminal import complain, say

__all__ = ["address_of", "announce", "leave", "open_soon"]


def announce(said: Said, line: str) -> None:
    """What people are told when a server answers; `line` among it."""
    with contextlib.suppress(OSError):  # a full disk behind stderr is no reason not to serve
        if said.refusal is not None:
            complain(f"the album can't be searched: {said.refusal}")
        if said.kept_in is not None:
            say(introduce(Path(said.kept_in)))
        say(line)
        if said.live is not None:
            say(f"Live is for {said.live}, the quickest here; -m takes one for all")


def leave() -> None:
    """End at once, with what was written; being stopped is no failure."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(0)


def address_of(host: str, port: int) -> str:
    """What a browser on this computer calls a server that listens there."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def open_soon(address: str) -> None:
    """Show the page once the server answers: the socket listens already, so a browser waits."""
    import webbrowser

    threading.Thread(target=lambda: webbrowser.open(address), daemon=True).start()
