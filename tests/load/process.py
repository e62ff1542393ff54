"""A `galago serve` in a process of its own, and requests to it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.helpers.places import TOP

PICTURES = sorted(TOP.glob("examples/*.png")) + sorted(TOP.glob("examples/*.jpg"))
URLS = [
    f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"
    for path in PICTURES
]
QUESTIONS = ("Describe the image in English.", "What is written in this image?", "How many?")


class Server:
    """Started at once; `port` is known when it answers."""

    def __init__(self, *args: str, port: int = 0, stderr: IO[Any] | None = None) -> None:
        began = time.monotonic()
        piped = stderr is None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "galago", "serve", "--port", str(port), *args],
            stderr=subprocess.PIPE if piped else stderr,
            stdout=subprocess.DEVNULL,
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP)},
        )
        self.port = self._told() if piped else port
        while True:
            try:
                if self.ask("GET", "/health").status == 200:
                    break
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.05)
        self.seconds = time.monotonic() - began

    def _told(self) -> int:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(rb"answers at http://[^:]+:(\d+)/", line):
                return int(found[1])
        raise AssertionError("the server ended")

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 60) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        finally:
            connection.close()

    def memory(self) -> float:
        """Resident megabytes now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]

    def figure(self, name: str) -> float:
        """One of /metrics."""
        text = self.ask("GET", "/metrics").body.decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])  # type: ignore[index]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(30)


@dataclass
class Reply:
    status: int
    body: bytes = b""
    first: float | None = None
    tokens: int = 0
    cancelled: bool = False
    parts: list[str] = field(default_factory=list)


def question(random_: random.Random, tokens: int = 60) -> dict[str, Any]:
    """A streamed question about one of the examples."""
    parts = [
        {"type": "text", "text": random_.choice(QUESTIONS)},
        {"type": "image_url", "image_url": {"url": random_.choice(URLS)}},
    ]
    options = {"stream_options": {"include_usage": True}, "max_tokens": tokens, "temperature": 1.0}
    message = {"role": "user", "content": parts}
    return {"model": "", "messages": [message], "stream": True, "seed": 1, **options}


def stream(server: Server, body: dict[str, Any], leave_after: int | None = None) -> Reply:
    """A streamed answer; gone after so many events when told so."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    began = time.monotonic()
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), _JSON)
        if leave_after == 0:
            return Reply(0, cancelled=True)
        answer = connection.getresponse()
        reply = Reply(answer.status)
        if answer.status != 200:
            reply.body = answer.read()
            return reply
        for count, event in enumerate(_events(answer), 1):
            reply.first = reply.first or time.monotonic() - began
            reply.tokens = (event.get("usage") or {}).get("completion_tokens", reply.tokens)
            if "error" in event:
                reply.status = 504 if event["error"]["code"] == "timeout" else 500
            if leave_after is not None and count >= leave_after:
                reply.cancelled = True
                return reply
        return reply
    finally:
        connection.close()


_JSON = {"Content-Type": "application/json"}


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in answer:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])
