"""`galago serve --ray`: replicas of Ray Serve, each with the models and without an album."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from galago.cli.announcing import address_of, open_soon
from galago.cli.options import Opening
from galago.cli.serving import Serving, opened, processors, threads_each
from galago.cli.terminal import say
from galago.errors import OptionError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["by_ray"]

_THREADS = 4  # of a replica on a cluster, unless told
_open = contextlib.ExitStack()  # what a replica holds until its process ends


def by_ray(
    serving: Serving, opening: Opening, address: str, replicas: str, *, log: bool, view: bool
) -> None:
    """Serve until it is stopped; OptionError for what replicas can't do."""
    from galago.scale.ray_serve import Replicas, replicas_of, serving_by_ray, until_stopped
    from galago.server.run import listen

    check_ray(serving, log=log)
    least, most = replicas_of(replicas)
    cpus = processors()
    threads = opening.threads or (threads_each(cpus, most) if address == "local" else _THREADS)
    wanted = Replicas(least, most, serving.parallel, threads)
    if address == "local" and most * threads > cpus:
        raise OptionError(
            f"{most} replicas of {threads} thread{'s' * (threads > 1)} need {most * threads} "
            f"processors, and here are {cpus}: use fewer --replicas or --threads"
        )
    if address == "local":
        listen(serving.host, serving.port).close()  # Ray would tell in fifty lines that it's taken
    name = opening.name()  # one model for all, whatever else a node has
    plain = replace(opening, model=name, threads=threads)
    build = partial(replica, asdict(serving), asdict(plain))
    say(f"replicas open {name}; that takes a while")
    with serving_by_ray(
        address, build, wanted,
        host=serving.host, port=serving.port, queue=serving.queue, grace=serving.grace,
    ):  # fmt: skip
        where = address_of(serving.host, serving.port)
        many = replicas if replicas == "1" or address == "local" else f"{replicas} of {address}"
        say(f"galago answers at {where} ({name}; replicas: {many}); Ctrl-C stops it")
        if view:
            open_soon(where)
        until_stopped()


def check_ray(serving: Serving, *, log: bool) -> None:
    """OptionError for options that mean nothing to replicas."""
    for name, given, why in (
        ("--album", serving.album is not None, "an album is for one computer"),
        ("--remember", serving.remember, "an album is for one computer"),
        ("--log", log, "Ray keeps a log of its own"),
        ("--port 0", serving.port == 0, "Ray takes no free port by itself"),
    ):
        if given:
            raise OptionError(f"{name} and --ray don't go together: {why}")


def replica(serving: dict[str, Any], opening: dict[str, Any]) -> ASGIApp:
    """The application, with its models in memory as long as this process lives."""
    app, _ = _open.enter_context(opened(Serving(**serving), Opening(**opening), album=False))
    return app
