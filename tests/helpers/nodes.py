"""Two machines that are one: nodes of a Ray cluster in network namespaces of this one (root)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.places import TOP

__all__ = ["HEAD", "Nodes", "can_have_nodes"]

HEAD, OTHER = "10.203.7.1", "10.203.7.2"
_RAY = str(Path(sys.executable).with_name("ray"))
_PATIENCE = float(os.environ.get("GALAGO_PATIENCE", "120"))  # seconds for a node to be there


def can_have_nodes() -> bool:
    """Whether namespaces can be made here."""
    tools = all(shutil.which(name) for name in ("ip", "unshare", "mount", "hostname"))
    return sys.platform == "linux" and os.geteuid() == 0 and tools


class Nodes:
    """Namespaces `galago-a`, where commands are run and the head is, and `galago-b`, joined by a
    cable; nothing else is reached from either.  Each node has a name and a /tmp/ray of its own.

    A context manager, which ends all that runs in them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = os.urandom(16).hex()

    def __enter__(self) -> Nodes:
        self._remove()
        for name in "ab":
            _ip("netns", "add", f"galago-{name}")
            (self._folder / name).mkdir(parents=True)
        _ip("link", "add", "veth-a", "netns", "galago-a", "type", "veth",
            "peer", "name", "veth-b", "netns", "galago-b")  # fmt: skip
        for name, address in (("a", HEAD), ("b", OTHER)):
            _ip("-n", f"galago-{name}", "addr", "add", f"{address}/24", "dev", f"veth-{name}")
            _ip("-n", f"galago-{name}", "link", "set", f"veth-{name}", "up")
            _ip("-n", f"galago-{name}", "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def start(self, name: str, *, path: str = "") -> subprocess.CompletedProcess[str]:
        """`ray start` there; `path` comes before galago's own in PYTHONPATH."""
        role = ["--head", "--port", "6379", "--include-dashboard", "false"]
        role = role if name == "a" else ["--address", f"{HEAD}:6379"]
        address = HEAD if name == "a" else OTHER
        return self.run(
            name, _RAY, "start", *role, "--node-ip-address", address, "--num-cpus", "1",
            "--object-store-memory", "100000000", "--disable-usage-stats", path=path,
        )  # fmt: skip

    def run(self, name: str, *command: str, path: str = "") -> subprocess.CompletedProcess[str]:
        """A command's end there."""
        return subprocess.run(
            self._there(name, command), env=self._environment(path), text=True, cwd=TOP,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def begin(self, name: str, *command: str) -> subprocess.Popen[str]:
        """A command there that is still running."""
        return subprocess.Popen(
            self._there(name, command), env=self._environment(""), text=True, cwd=TOP,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, name: str) -> int:
        """Everything that runs there, at once; how many processes that were."""
        found = self.processes(name)
        for number in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return len(found)

    def cut(self) -> None:
        """Nothing reaches the other node from now on, which doesn't know."""
        _ip("-n", "galago-b", "link", "set", "veth-b", "down")

    def mend(self) -> None:
        """What was cut is joined again."""
        _ip("-n", "galago-b", "link", "set", "veth-b", "up")

    def at_work(self, name: str, seconds: float = _PATIENCE) -> bool:
        """Whether a worker of galago's works there; waited for."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for number in self.processes(name):
                with contextlib.suppress(OSError):
                    title = Path(f"/proc/{number}/cmdline").read_bytes()
                    if title.startswith(b"ray::_Actor.work"):
                        return True
            time.sleep(0.2)
        return False

    def processes(self, name: str) -> list[int]:
        said = _ip("netns", "pids", f"galago-{name}", check=False)
        return [int(line) for line in said.split()]

    def _there(self, name: str, command: tuple[str, ...]) -> list[str]:
        script = 'mkdir -p /tmp/ray && mount --bind "$0" /tmp/ray && hostname "$1" && shift && "$@"'
        return ["ip", "netns", "exec", f"galago-{name}", "unshare", "--uts", "sh", "-c", script,
                str(self._folder / name), f"node-{name}", *command]  # fmt: skip

    def _environment(self, path: str) -> dict[str, str]:
        paths = os.pathsep.join(filter(None, [path, str(TOP)]))
        return os.environ | {
            "PYTHONPATH": paths, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token,
            "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip

    def _remove(self) -> None:
        for name in "ab":
            while self.kill(name):
                time.sleep(0.2)
            _ip("netns", "del", f"galago-{name}", check=False)


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)
    return done.stdout
