"""`galago serve --workers`: several processes behind one port, started and watched by this one."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import asdict, replace
from typing import Any

from galago import memory
from galago.cli.announcing import announce, open_soon
from galago.cli.options import Opening
from galago.cli.serving import Said, Serving, processors, threads_each
from galago.cli.terminal import say
from galago.errors import OptionError

__all__ = ["by_workers"]

# The paths of this process, as it may have been told more than its environment says.
_START = (
    # Without the folder that we stand in, or its json.py would be run.
    "import sys; sys.path[:] = [place for place in sys.path if place]\n"
    "import json; sys.path[:] = json.loads(sys.argv[1])\n"
    "from galago.cli.serve_worker import main; sys.exit(main())"
)


def by_workers(
    listening: socket.socket,
    workers: int,
    serving: Serving,
    opening: Opening,
    address: str,
    *,
    log: bool,
    view: bool,
) -> None:
    """Serve until it is stopped; SystemExit with the code of a first worker that can't begin."""
    from galago.server.supervisor import Supervisor

    cpus = processors()
    if workers > cpus and opening.threads is None:
        say(f"{workers} workers on {cpus} processors wait for each other")
    threads = opening.threads or threads_each(cpus, workers)
    shared = replace(opening, threads=threads)

    def given(serving: Serving, opening: Opening, *, begun: bool) -> dict[str, Any]:
        told = {"serving": asdict(serving), "opening": asdict(opening)}
        return {**told, "log": log, "begun": begun}  # by the first, which shows bars and opens all

    def began(told: dict[str, Any]) -> dict[str, Any]:
        said = Said(**told["said"])
        _check_memory(workers, told["own"])
        many = f"{workers} workers, {threads} thread{'s' * (threads > 1)} each"
        announce(said, f"galago answers at {address} ({said.models}; {many}); Ctrl-C stops it")
        if view:
            open_soon(address)
        # All with the same models: what is best here may be another one in a moment.
        return given(
            replace(serving, clip=said.clip_source, keep=None),
            replace(shared, model=told["model"]),
            begun=True,
        )

    command = [sys.executable, "-c", _START, json.dumps(sys.path)]
    supervisor = Supervisor(listening, workers, command, say, serving.grace)
    if code := supervisor.run(given(serving, shared, begun=False), began):
        raise SystemExit(code)


def _check_memory(workers: int, own: int) -> None:
    """OptionError where the free memory doesn't hold what each worker has for itself."""
    free = memory.available()
    if free is not None and free < (workers - 1) * own:
        fit = 1 + free // own
        raise OptionError(
            f"the free memory holds {fit} of {workers} workers ({own / 1e9:.1f} GB each, beside "
            f"what they share): use --workers {fit} or a smaller model"
        )
