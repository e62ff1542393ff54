"""`galago serve` and `galago mcp` as commands: what they refuse, and how they end."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from galago.album.store import write_lock
from tests.helpers.commandline import POSIX_ONLY, run, start
from tests.helpers.places import TOP
from tests.helpers.waiting import until

serves = pytest.mark.skipif(
    importlib.util.find_spec("fastapi") is None, reason="needs the extra serve"
)


@serves
@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--host", "0.0.0.0"), "--api-key"),
        (("--host", "203.0.113.9", "--api-key", "k"), "no address of this computer"),
        (("--api-key", " "), "--api-key"),
        (("--parallel", "0"), "--parallel"),
        (("--queue", "-1"), "--queue"),
        (("--timeout", "0"), "--timeout"),
        (("--grace", "0"), "--grace"),
        (("--grace", "nan"), "--grace"),
        (("--port", "70000"), "70000"),
        (("--port", "0", "--album", "nowhere"), "galago index"),
        (("--workers", "0"), "--workers"),
        (("--workers", "65"), "--workers"),
        (("--workers", "2", "--ray", "local"), "use one of them"),
        (("--replicas", "2"), "--workers"),
        (("--ray", "local", "--replicas", "3-2"), "N or N-M"),
        (("--ray", "local", "--replicas", "some"), "N or N-M"),
        (("--ray", "local", "--album", "holiday"), "one computer"),
        (("--ray", "local", "--remember"), "one computer"),
        (("--ray", "local", "--log"), "log of its own"),
        (("--ray", "local", "--port", "0"), "no free port"),
        (("--ray", "local", "--replicas", "900", "--threads", "9"), "8100 processors"),
    ],
)
def test_one_line_for_what_cannot_be_served(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], told: str
) -> None:
    result = run(capsys, "serve", *args)
    assert result.code == 2 and told in result.line and not result.out


@serves
@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("--ray", "local")])
def test_a_port_in_use(capsys: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = run(capsys, "serve", "--port", str(other.getsockname()[1]), *more)
    assert result.code == 2 and "in use" in result.line and "--port" in result.line


@pytest.mark.parametrize(("verb", "module"), [("serve", "fastapi"), ("mcp", "mcp.server")])
def test_a_missing_extra_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str, module: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("galago.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    result = run(capsys, verb)
    assert result.code == 2 and f"to install the extra {verb}: " in result.line


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that a server prints."""
    assert process.stderr is not None
    for line in process.stderr:
        if "answers at " in line:
            return line.split("answers at ")[1].split()[0]
    raise AssertionError("the server ended")


@serves
@pytest.mark.model
@POSIX_ONLY
@pytest.mark.slow
def test_the_embedded_models_are_served_until_told_to_stop(tmp_path: Path) -> None:
    process = start("serve", "--port", "0", "--api-key", " k\n")  # as a file's line may end
    try:
        address = address_of(process)
        key = {"Authorization": "Bearer k"}
        asked = urllib.request.Request(f"{address}v1/models", headers=key)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            names = [one["id"] for one in json.load(answer)["data"]]
        assert names == ["fastvlm-nano", "mobileclip2-nano"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


@serves
@pytest.mark.model
@POSIX_ONLY
@pytest.mark.slow
def test_two_workers_serve_the_embedded_models() -> None:
    process = start("serve", "--port", "0", "--workers", "2", "-m", "fastvlm-nano")
    try:
        address = address_of(process)

        def told(path: str) -> str:
            with urllib.request.urlopen(f"{address}{path}", timeout=60) as answer:
                return str(answer.read().decode())

        assert until(lambda: json.loads(told("health"))["workers"] == {"1": "ok", "2": "ok"}, 120)
        assert all(f'galago_worker_up{{worker="{one}"}} 1.0' in told("metrics") for one in (1, 2))
        assert json.loads(told("api/index"))["running"] is False
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


@serves
@pytest.mark.model
@POSIX_ONLY
@pytest.mark.slow
def test_workers_that_remember_do_not_wait_for_who_writes_the_album(tmp_path: Path) -> None:
    albums = tmp_path / "albums"
    remembering = ("--remember", "--keep", "7d", "--album", "door")
    process = start(
        "serve", "--port", "0", "--workers", "2", "-m", "fastvlm-nano", *remembering,
        GALAGO_ALBUMS=str(albums),
    )  # fmt: skip
    try:
        address = address_of(process)

        def told(path: str) -> Any:
            with urllib.request.urlopen(f"{address}{path}", timeout=60) as answer:
                return json.load(answer)

        with write_lock(albums / "door"):  # as `galago index` holds it, maybe for hours
            assert until(lambda: told("health")["workers"] == {"1": "ok", "2": "ok"}, 120)
            for _ in range(20):  # whichever of them is asked
                assert told("api/page")["remember"] == {"keep_seconds": 7 * 86400.0}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


HANGS = """
import ctypes, sys
from galago.cli.main import main
from galago.clip.mobileclip import MobileCLIP
libc = ctypes.CDLL(None)
def hang(*_):
    print("hanging", file=sys.stderr, flush=True)
    libc.sleep(60)  # native code, which nothing in Python ends
MobileCLIP.prepare = hang
sys.exit(main(["serve", "--port", "0", "--grace", "1"]))
"""


@serves
@pytest.mark.model
@POSIX_ONLY
@pytest.mark.slow
def test_it_ends_in_time_whatever_hangs() -> None:
    env = {**os.environ, "PYTHONPATH": str(TOP)}
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS], stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        address = address_of(process)
        body = json.dumps({"image": "data:image/png;base64,AAAA", "labels": ["a"]}).encode()
        kind = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{address}api/classify", body, kind)
        threading.Thread(target=quietly, args=(asked,), daemon=True).start()
        assert process.stderr is not None and "hanging" in process.stderr.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0 and time.monotonic() - began < 15
    finally:
        process.kill()
        process.communicate()


def quietly(asked: urllib.request.Request) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        urllib.request.urlopen(asked, timeout=30)
