"""Nothing leaves the machine: no telemetry, no look-ups, no leftovers of either."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from galago import catalog
from tests.helpers.places import TOP

Command = Sequence[str | Path]

# Runs commands one after the other, and tells how each ended and what is loaded.
RUN = """
import json, sys, threading
from galago.cli.main import main
for args in json.loads(sys.argv[1]):
    print("EXIT", main(args), file=sys.stderr)
tools = ("openvino.tools", "openvino_telemetry", "nncf", "torch")
print("LOADED", sorted(m for m in sys.modules if m.startswith(tools)), file=sys.stderr)
threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
print("THREADS", threads, file=sys.stderr)
"""
# Run before them: any use of the network ends the test at once. Sockets of the machine itself
# (AF_UNIX) stay allowed, as the standard library may use them.
GUARD = """
import socket

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
"""


def world(home: Path) -> dict[str, str]:
    """An empty home and not one setting that would switch anything off."""
    keep = ("PATH", "LANG", "SYSTEMROOT", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    return {**env, "HOME": str(home), "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Done:
    """What commands said and how they ended."""

    codes: list[int]
    out: str
    err: str


def told(home: Path, code: str, *commands: Command, within: Sequence[str] = ()) -> Done:
    """Commands run one after the other by a fresh process in an empty world."""
    given = json.dumps([[str(part) for part in command] for command in commands])
    line = [*within, sys.executable, "-c", code, given]
    done = subprocess.run(line, capture_output=True, text=True, env=world(home), timeout=120)
    codes = [int(code) for code in re.findall(r"^EXIT (\d+)$", done.stderr, re.MULTILINE)]
    return Done(codes, done.stdout, done.stderr)


def guarded(home: Path, *commands: Command) -> Done:
    return told(home, GUARD + RUN, *commands)


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


@pytest.mark.slow
def test_pull_and_describe_with_sockets_blocked(home: Path, tiny: Path, picture: Path) -> None:
    describe = ["describe", picture, "-m", tiny, "--max-tokens", "2"]
    done = guarded(home, ["pull", tiny], describe, ["models"])
    assert done.codes == [0, 0, 0] and "the network was used" not in done.err, done.err
    assert "LOADED []" in done.err, "telemetry must not even be loaded"
    assert "THREADS []" in done.err, "no thread is left that might send something"
    assert left_in(home) == []


@pytest.mark.skipif(
    not (catalog.lookup("fastvlm-nano").folder / "config.json").exists(),
    reason="the embedded model is not there",
)
def test_the_embedded_model_with_sockets_blocked(home: Path, picture: Path) -> None:
    done = guarded(home, ["describe", picture, "--max-tokens", "2"])
    assert done.codes == [0] and "the network was used" not in done.err, done.err
    assert "LOADED []" in done.err and "THREADS []" in done.err
    assert list(home.iterdir()) == [], "the embedded model writes nothing at all"


@pytest.mark.slow
def test_offline_asks_nobody_and_the_guard_guards(home: Path, picture: Path) -> None:
    """Without --offline a model that isn't here makes galago ask the hub: that must be caught."""
    done = guarded(
        home,
        ["pull", "apple/FastVLM-0.5B", "--offline"],
        ["describe", picture, "-m", "apple/FastVLM-0.5B", "--offline"],
        ["pull", "somebody/some-model", "--offline"],
        ["pull", "apple/FastVLM-0.5B"],
    )
    assert done.codes == [2, 2, 2] and done.err.count("galago is offline") == 3
    assert "the network was used" in done.err


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


@pytest.mark.slow
def test_in_a_namespace_without_network(
    namespace: list[str], home: Path, ready: Path, picture: Path
) -> None:
    done = told(
        home,
        RUN,
        ["pull", ready],
        ["describe", picture, "-m", ready, "--max-tokens", "2", "--json"],
        ["pull", "apple/FastVLM-0.5B"],
        within=namespace,
    )
    assert done.codes == [0, 0, 2], done.err
    folder, record = done.out.splitlines()
    assert Path(folder) == ready and json.loads(record)["tokens"] == 2
    assert "check the network" in done.err and "Traceback" not in done.err
    assert left_in(home) == []


def test_fetching_sends_no_usage_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    from galago.hub.fetch import _client

    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    client = _client()
    assert client.constants.HF_HUB_DISABLE_TELEMETRY is True
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
