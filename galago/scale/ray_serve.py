"""An application of ASGI as replicas of Ray Serve, on this machine or on a cluster.

What stands in front of the replicas is Ray's own proxy: it takes the connections, chooses the
replica with the shorter queue, and adds and ends replicas as the queues ask for.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from galago.errors import MissingExtraError, OptionError
from galago.scale.ray_start import begun, import_ray, short
from galago.version import __version__

__all__ = ["Replicas", "replicas_of", "serving_by_ray", "until_stopped"]

_NAME = "galago"
_MOST = 1000  # replicas
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Replicas:
    """How many there are, between `least` and `most`; a further one when there are more than
    `target` requests for each; `threads`: processors of each."""

    least: int
    most: int
    target: int
    threads: int

    def options(self, queue: int, grace: float) -> dict[str, Any]:
        """The same for Ray: beyond `queue` a replica's callers wait for another one."""
        chosen: dict[str, Any] = {
            "name": _NAME,
            "max_ongoing_requests": self.target + queue,
            "ray_actor_options": {"num_cpus": self.threads},
            "graceful_shutdown_timeout_s": grace,
        }
        if self.least == self.most:
            return chosen | {"num_replicas": self.most}
        scaling = {
            "min_replicas": self.least,
            "max_replicas": self.most,
            "target_ongoing_requests": self.target,
        }
        return chosen | {"autoscaling_config": scaling}


def replicas_of(text: str) -> tuple[int, int]:
    """The least and the most of "N" or "N-M"; OptionError for anything else."""
    found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", text.strip())
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most <= _MOST:
        raise OptionError(f"--replicas {text} is not possible: use N or N-M, from 1 to {_MOST}")
    return least, most


@contextlib.contextmanager
def serving_by_ray(
    address: str,
    build: Callable[[], Any],
    replicas: Replicas,
    *,
    host: str,
    port: int,
    queue: int,
    grace: float,
) -> Iterator[None]:
    """Replicas that answer at the port, of each node that has one, until the end of the context.

    `build` makes the application in each of them: a function of a module that all nodes have, or
    a partial of one.  Raises MissingExtraError without Ray Serve, and OptionError for a cluster
    that isn't there and for what a replica can't do, in the words of what it raised.
    """
    # Where other work has the processors its proxy needs more than five seconds to begin, and one
    # that does is killed.  Of a cluster it is what `ray start` was told.
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
    import_ray(address)  # before anything of its own is: its usage statistics are off from then on
    try:
        from ray import serve
    except ImportError as error:
        raise MissingExtraError(f"--ray needs Ray Serve ({error.name})", "cluster") from None
    local = address == "local"
    with begun(address, replicas.threads) as ray:
        try:
            try:
                serve.start(
                    proxy_location="HeadOnly" if local else "EveryNode",
                    http_options={"host": host, "port": port},
                    logging_config={"log_level": "ERROR", "enable_access_log": False},
                )
            except ray.exceptions.RayError as error:
                raise OptionError(_reason(error)) from None
            ingress = serve.ingress(_app_of(build, __version__))()
            deployment = serve.deployment(**replicas.options(queue, grace))(ingress)
            try:
                serve.run(deployment.bind(), name=_NAME, route_prefix="/")
            except (RuntimeError, ray.exceptions.RayError) as error:
                raise OptionError(_reason(error)) from None
            yield
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                serve.shutdown() if local else serve.delete(_NAME)


def until_stopped() -> None:
    """Wait for SIGINT or SIGTERM."""
    stopped = threading.Event()
    before = {one: signal.signal(one, lambda *_: stopped.set()) for one in _SIGNALS}
    try:
        while not stopped.wait(1.0):  # Windows hears of Ctrl-C between two waits
            pass
    finally:
        for one, was in before.items():
            signal.signal(one, was)


def _app_of(build: Callable[[], Any], version: str) -> Callable[[], Any]:
    """What a replica begins with; Ray wants a plain function without parameters."""

    def app() -> Any:
        from galago.version import __version__ as here  # a name from outside would be sent along

        if version != here:
            told = f"{socket.gethostname()} has galago {here} and the command {version}"
            raise OptionError(f"{told}: install one of them on all")
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        return build()

    return app


def _reason(error: BaseException) -> str:
    """What a replica said when it couldn't begin: galago's own words, where there are any."""
    found = re.findall(r"galago\.errors\.\w+: (.+)", str(error))
    return short(OptionError(found[-1])) if found else f"Ray can't serve it ({short(error)})"
