"""The door: foreign names and pages, keys, bodies, and what a log may hold."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.serving import Served, ask, serving, user
from tests.helpers.waiting import until


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8000"}, 403),
        ({"Host": "192.168.1.5"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:9", "Origin": "http://localhost:9"}, 200),
        ({"Host": "localhost:9", "Origin": "http://localhost:10"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_foreign_names_and_pages(served: Served, headers: dict[str, str], status: int) -> None:
    assert ask(f"{served.url}/api/page", **headers).status == status


def test_a_link_of_another_page_may_lead_here(served: Served) -> None:
    for path in ("/", "/docs"):
        assert ask(served.url + path, **{"Sec-Fetch-Site": "cross-site"}).status == 200


def test_every_answer_has_the_headers_of_a_closed_house(served: Served) -> None:
    for path in ("/", "/health", "/nothing", "/api/page", "/docs"):
        headers = ask(served.url + path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers and "Server" not in headers


def test_bodies_on_their_way_count_together(folder: Path) -> None:
    chat = "/v1/chat/completions"
    with serving(folder, held_bytes=10_000) as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            head = f"POST {chat} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 8000\r\n\r\n"
            slow.sendall(head.encode() + b" " * 6000)
            assert until(lambda: ask(served.url + chat, b" " * 6000).status == 429)
        assert until(lambda: ask(served.url + chat, b" " * 6000).status == 400)


def test_an_api_key(folder: Path) -> None:
    with serving(folder, api_key="open sesame") as served:
        for path in ("/", "/health", "/docs", "/openapi.json"):
            assert ask(served.url + path).status == 200
        for path in ("/api/page", "/v1/models", "/metrics", "/docs/", "/docs/x", "/nothing"):
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "open sesame"}):
                reply = ask(served.url + path, **header)
                assert reply.status == 401 and reply.json["error"]["code"] == "invalid_api_key"
        right = {"Authorization": "Bearer open sesame"}
        assert ask(f"{served.url}/v1/models", **right).status == 200


def test_numeric_addresses_only_where_others_may_ask(folder: Path) -> None:
    with serving(folder, any_address=True, hosts=("desk.local",)) as served:
        for host, status in (("10.0.0.7:80", 200), ("desk.local", 200), ("evil.example", 403)):
            assert ask(f"{served.url}/health", Host=host).status == status


def test_large_and_late_bodies(folder: Path) -> None:
    with serving(folder, body_bytes=1000, body_seconds=0.5) as served:
        path = f"{served.url}/v1/embeddings"
        assert ask(path, b"x" * 1001).status == 413
        head = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"
        assert raw(served.port, chunked).startswith(b"HTTP/1.1 413")
        assert raw(served.port, head + b"Content-Length: 9\r\n\r\n{").startswith(b"HTTP/1.1 408")
        assert raw(served.port, head + b"Content-Length: -9\r\n\r\n").startswith(b"HTTP/1.1 4")
        assert ask(f"{served.url}/health").status == 200


def raw(port: int, data: bytes) -> bytes:
    """What comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        return connection.recv(4096)


def test_logs_hold_nothing_that_was_asked(served: Served) -> None:
    lines: list[str] = []
    logger = logging.getLogger("galago.server")

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    keep, level = Keep(), logger.level
    logger.addHandler(keep)
    logger.setLevel(logging.DEBUG)
    try:
        body = {"model": "fake", "messages": [user("a secret question")], "max_tokens": 1}
        key = {"Authorization": "Bearer hidden"}
        assert ask(f"{served.url}/v1/chat/completions?x=private", body, **key).status == 200
        ask(f"{served.url}/private-path", **key)
        assert until(lambda: len(lines) == 2)
    finally:
        logger.removeHandler(keep)
        logger.setLevel(level)
    text = "\n".join(lines)
    assert "/v1/chat/completions 200" in text
    assert not any(word in text for word in ("secret", "hidden", "private"))


def test_a_fault_is_a_500_that_tells_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(served.language, "embed", broken)
    body = {"model": "fake", "messages": [user("Talk")]}
    reply = ask(f"{served.url}/v1/chat/completions", body)
    assert reply.status == 500 and reply.json["error"]["type"] == "server_error"
    assert b"secret" not in reply.body
