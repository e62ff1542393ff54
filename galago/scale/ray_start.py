"""A Ray to work with: one of our own on this machine, or a cluster that is there already."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from galago.errors import MissingExtraError, OptionError
from galago.version import __version__

__all__ = ["begun", "check_there", "check_version", "gpus", "import_ray", "room", "short"]

_STORE = 256 << 20  # bytes of Ray's store on this machine: what goes through it is small
_ANSWER = 5.0  # seconds for an address to be there
_OURS = "galago-ray-"
_PORT = 10001  # of ray://, where none is given


@contextmanager
def begun(address: str, need: int = 1) -> Iterator[Any]:
    """The module ray, connected; "local" is a Ray of our own on this machine, which ends with us.

    need: processors of a worker.  Raises MissingExtraError without Ray, OptionError for an address
    where no cluster answers, and for one with another Ray.
    """
    if address == "local":
        here = os.cpu_count() or 1
        if need > here:  # Ray would wait for a larger machine to join
            raise OptionError(
                f"--threads {need} with --ray local: a worker has at most all processors of this "
                f"machine, {here}"
            )
    else:
        check_there(address)
    ray = import_ray(address)
    folder = ""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address == "local":
            # What a killed process leaves of its Ray ends soon, and not when it has asked a minute.
            os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
            # A folder of our own: sockets have short names, and nothing stays behind.
            folder = _folder()
            ray.init(
                "local", num_cpus=here, include_dashboard=False, object_store_memory=_STORE,
                _temp_dir=folder, **quiet,
            )  # fmt: skip
        else:
            _join(ray, address, quiet)
        _hush()
        yield ray
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _hush() -> None:
    """Ray tells the deaths of workers on stdout, a thousand letters each and among what was asked
    for (--json); nothing that it documents stops that. Whoever uses it tells them in a line."""
    module: Any = sys.modules.get("ray._private.worker")
    if hasattr(module, "print_to_stdstream"):
        module.print_to_stdstream = lambda *_, **__: None


def _join(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise OptionError(
            f"the cluster at {address} doesn't take us ({short(error)}): it may have another Ray "
            "or Python, or a token that isn't set here (RAY_AUTH_MODE, RAY_AUTH_TOKEN)"
        ) from None


def room(ray: Any, need: int = 1) -> int:
    """How many workers fit the nodes that are alive, at least one."""
    return max(1, sum(int(cpus // need) for cpus in _held(ray, "CPU")))


def gpus(ray: Any) -> int:
    """How many GPUs the nodes that are alive have."""
    return int(sum(_held(ray, "GPU")))


def _held(ray: Any, what: str) -> list[float]:
    return [node["Resources"].get(what, 0) for node in ray.nodes() if node["Alive"]]


def check_version(version: str) -> str:
    """On a node: what is to be done where it has another galago than who asks; "" where not."""
    if version == __version__:
        return ""
    told = f"{socket.gethostname()} has galago {__version__} and this machine {version}"
    return f"{told}: install one of them on all"


def import_ray(address: str) -> Any:
    """The module ray, with its usage statistics off; MissingExtraError without it.

    A Ray of our own ("local") listens to all machines: it has a token that nobody knows.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is told about us
    if address == "local":
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError:
        raise MissingExtraError("--ray needs Ray", "cluster") from None
    return ray


def _folder() -> str:
    """For sockets and logs of a Ray of our own; those of killed processes go."""
    home = Path(tempfile.gettempdir())
    for left in home.glob(f"{_OURS}*-*"):
        number = left.name.removeprefix(_OURS).split("-")[0]
        if number.isdigit() and not _lives(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_OURS}{os.getpid()}-")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another person's
        pass
    return True


def check_there(address: str) -> None:
    """OptionError where nobody listens; Ray itself would ask for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:
        host, port = port, str(_PORT) if address.startswith("ray://") else "6379"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER):
            return
    except ValueError:
        line = f"--ray {address}: give local, auto, HOST:PORT or ray://HOST:PORT"
        raise OptionError(line) from None
    except OSError as error:
        reason = error.strerror or short(error)
        line = f"no cluster answers at {address} ({reason}): is Ray started there?"
        raise OptionError(line) from None


def short(error: BaseException) -> str:
    """The words of an error of Ray's, in a line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
