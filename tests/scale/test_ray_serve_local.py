"""A replica of Ray Serve on this machine, by the command."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import urllib.request

import pytest

from tests.helpers.commandline import POSIX_ONLY, run, start

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra cluster"),
    pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="needs the extra serve"),
    pytest.mark.slow,
    POSIX_ONLY,
]


def test_an_address_where_nobody_listens_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run(capsys, "serve", "--ray", f"127.0.0.1:{port}")
    assert result.code == 2 and f"no cluster answers at 127.0.0.1:{port}" in result.line


@pytest.mark.model
def test_a_replica_answers_until_it_is_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start("serve", "--ray", "local", "--port", str(port), "-m", "fastvlm-nano")
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "answers at " in line:
                break
        address = f"http://127.0.0.1:{port}/"
        with urllib.request.urlopen(f"{address}v1/models", timeout=60) as answer:
            names = [one["id"] for one in json.load(answer)["data"]]
        assert names[0] == "fastvlm-nano"
        body = {"stream": True, "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
        kind = {"Content-Type": "application/json"}
        asked = urllib.request.Request(
            f"{address}v1/chat/completions", json.dumps(body).encode(), kind
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            events = answer.read().decode()
        assert events.count("data: ") > 1 and events.rstrip().endswith("data: [DONE]")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
