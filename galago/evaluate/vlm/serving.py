"""`galago serve` for as long as a benchmark asks it: started, found, stopped."""

from __future__ import annotations

import os
import re
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from galago.disk import keep_newest
from galago.errors import GalagoError
from galago.evaluate.vlm.harness import Route
from galago.evaluate.vlm.processes import OFFLINE, last_words, started

__all__ = ["PARALLEL", "route_to", "served"]

PARALLEL = 4  # answers at the same time, as many as the server gives
_ADDRESS = re.compile(rb"answers at (http://\S+)")
_WAIT = "86400"  # seconds; nobody else asks, and a large model takes its time
_LOGS = 4  # that are kept


@contextmanager
def served(options: Sequence[str], folder: Path) -> Iterator[Route]:
    """The way to a server of one's own, with these options of `galago serve`; it ends with the
    block.

    It listens on this computer alone, at a free port, with a key that nobody else has and without
    an album; what it says goes to a log in `folder`.  GalagoError where it doesn't start.
    """
    key = secrets.token_hex(16)
    folder.mkdir(parents=True, exist_ok=True)
    keep_newest(folder, "*.log", _LOGS - 1)
    log = folder / f"serve-{os.getpid()}.log"  # another task may be asked at the same time
    command = [sys.executable, "-m", "galago", "serve", "--port", "0", "--timeout", _WAIT, *options]
    variables = {
        **os.environ,
        **OFFLINE,
        "GALAGO_API_KEY": key,
        "GALAGO_ALBUMS": str(folder / "albums"),
    }
    with log.open("wb") as sink, started(command, folder, variables, sink.fileno()) as process:
        assert process.stderr is not None
        address = None
        for line in process.stderr:
            sink.write(line)
            if found := _ADDRESS.search(line):
                address = found[1].decode()
                break
        if address is None:
            sink.flush()
            raise GalagoError(f"galago serve did not start: {last_words(log)} ({log})")
        # What it says later must go somewhere, or it would wait for a reader.
        threading.Thread(target=lambda: [*process.stderr], daemon=True).start()  # type: ignore[misc]
        yield route_to(f"{address.rstrip('/')}/v1", key)


def route_to(url: str, key: str) -> Route:
    """By lmms-eval's own client of OpenAI's API.

    The address is no argument: answers are kept by the arguments, and the port is another one
    every time. The model has no name, as that client takes some names for models of OpenAI's.
    """
    arguments = f"model=,httpx_trust_env=False,max_retries=2,num_concurrent={PARALLEL}"
    return Route("server", "openai", arguments, {"OPENAI_API_BASE": url, "OPENAI_API_KEY": key})
