"""Nothing leaves the machine: no telemetry, no look-ups, no leftovers of either."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from galago import catalog
from tests.commandline import TOP

# Run before galago in its own process: any use of the network ends the test at once. Sockets of
# the machine itself (AF_UNIX) stay allowed, as the standard library may use them.
GUARD = """
import socket, sys

class Blocked(BaseException):
    pass

def refuse(*args, **kwargs):
    raise Blocked(f"the network was used: {args}")

class Socket(socket.socket):
    def __init__(self, family=-1, *args, **kwargs):
        if family in (-1, socket.AF_INET, socket.AF_INET6):
            refuse(family)
        super().__init__(family, *args, **kwargs)

socket.socket = Socket
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse

from galago.cli.main import main
code = main(sys.argv[1:])
loaded = sorted(m for m in sys.modules if m.startswith(("openvino_telemetry", "openvino.tools.ovc", "nncf")))
loaded = [m for m in loaded if sys.modules[m] is not None]
import threading
threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
print(f"LOADED {loaded} THREADS {threads}", file=sys.stderr)
sys.exit(code)
"""  # noqa: E501


def world(home: Path) -> dict[str, str]:
    """An empty home and not one setting that would switch anything off."""
    keep = ("PATH", "LANG", "SYSTEMROOT", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    return {**env, "HOME": str(home), "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}


def guarded(home: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", GUARD, *(str(a) for a in args)]
    return subprocess.run(command, capture_output=True, text=True, env=world(home), timeout=120)


def left_in(home: Path) -> list[str]:
    """Files in the home, but for galago's own cache."""
    own = home / ".cache" / "galago"
    files = (path for path in home.rglob("*") if path.is_file())
    return [str(p.relative_to(home)) for p in files if not p.is_relative_to(own)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "empty-home"
    folder.mkdir()
    return folder


def test_the_guard_guards(home: Path) -> None:
    """Without --offline a model that isn't here makes galago ask the hub: that must be caught."""
    done = guarded(home, "pull", "apple/FastVLM-0.5B")
    assert done.returncode != 0 and "the network was used" in done.stderr


def test_pull_and_describe_with_sockets_blocked(home: Path, tiny: Path, picture: Path) -> None:
    for command in (
        ["pull", tiny],
        ["describe", picture, "-m", tiny, "--max-tokens", "2"],
        ["models"],
    ):
        done = guarded(home, *command)
        assert done.returncode == 0 and "the network was used" not in done.stderr, done.stderr
        assert "LOADED []" in done.stderr, "telemetry must not even be loaded"
        assert "THREADS []" in done.stderr, "no thread is left that might send something"
    assert left_in(home) == []


@pytest.mark.skipif(
    not (catalog.lookup("fastvlm-nano").folder / "config.json").exists(),
    reason="the embedded model is not there",
)
def test_the_embedded_model_with_sockets_blocked(home: Path, picture: Path) -> None:
    done = guarded(home, "describe", picture, "--max-tokens", "2")
    assert done.returncode == 0 and "the network was used" not in done.stderr, done.stderr
    assert "LOADED []" in done.stderr and "THREADS []" in done.stderr
    assert list(home.iterdir()) == [], "the embedded model writes nothing at all"


def test_offline_asks_nobody(home: Path, picture: Path) -> None:
    for command in (
        ["pull", "apple/FastVLM-0.5B", "--offline"],
        ["describe", picture, "-m", "apple/FastVLM-0.5B", "--offline"],
        ["pull", "somebody/some-model", "--offline"],
    ):
        done = guarded(home, *command)
        assert done.returncode == 2 and "galago is offline" in done.stderr


@pytest.fixture(scope="session")
def namespace() -> list[str]:
    """A command prefix for a network namespace without any network."""
    tool = shutil.which("unshare")
    if tool is None:
        pytest.skip("unshare is not installed")
    for options in (["-n"], ["-rn"]):
        probe = subprocess.run([tool, *options, "true"], capture_output=True)
        if probe.returncode == 0:
            return [tool, *options]
    pytest.skip("a network namespace is not allowed here")


def test_in_a_namespace_without_network(
    namespace: list[str], home: Path, tiny: Path, picture: Path
) -> None:
    galago = [*namespace, sys.executable, "-m", "galago"]
    for command in (
        ["pull", str(tiny)],
        ["describe", str(picture), "-m", str(tiny), "--max-tokens", "2", "--json"],
    ):
        done = subprocess.run(
            [*galago, *command], capture_output=True, text=True, env=world(home), timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
    done = subprocess.run(
        [*galago, "pull", "apple/FastVLM-0.5B"],
        capture_output=True,
        text=True,
        env=world(home),
        timeout=120,
    )
    assert done.returncode == 2 and "check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_in(home) == []


def test_fetching_sends_no_usage_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    from galago.hub.fetch import _client

    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    client = _client()
    assert client.constants.HF_HUB_DISABLE_TELEMETRY is True
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
