"""Connections: those that ask for nothing wait for nobody, and take nobody's place."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from galago.server.connections import Impatient
from galago.server.intake import network_of
from tests.helpers.serving import Served, ask, serving, user
from tests.helpers.waiting import until


def test_who_sends_no_request_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.server.connections._HEAD_SECONDS", 0.3)
    with serving(folder) as served:
        slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
        for one in slow:
            one.sendall(b"GET /health HTT")
        assert ask(f"{served.url}/health").status == 200
        for one in slow:
            one.settimeout(5)
            with contextlib.suppress(ConnectionError):  # cut off in one way or the other
                assert one.recv(10) == b""
            one.close()


def half(served: Served, count: int, source: str = "127.0.0.1") -> list[socket.socket]:
    """Connections that began to ask for something."""
    found = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", served.port), source_address=(source, 0))
        one.sendall(b"GET /health HTT")
        found.append(one)
    return found


def closed(one: socket.socket) -> bool:
    one.settimeout(0.01)
    try:
        return one.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_half_sent_heads_take_nobodys_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.server.connections._EACH", 12)
    monkeypatch.setattr("galago.server.connections._CONNECTIONS", 16)
    with serving(folder) as served, contextlib.ExitStack() as stack:
        body = {"messages": [user("Talk")], "max_tokens": 4}
        replies = []
        path = f"{served.url}/v1/chat/completions"
        asking = threading.Thread(target=lambda: replies.append(ask(path, body)))
        with served.language.held():
            asking.start()
            assert until(lambda: served.active == 1)
            slow = [stack.enter_context(one) for one in half(served, 40)]
            for _ in range(5):
                assert ask(f"{served.url}/health").status == 200
            assert until(lambda: sum(map(closed, slow)) >= 28)
            assert not any(map(closed, slow[-5:]))  # the oldest went
        asking.join()
        assert replies[0].status == 200  # who is being answered isn't cut off


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of the loopback")
def test_who_has_most_connections_loses_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.server.connections._EACH", 12)
    monkeypatch.setattr("galago.server.connections._CONNECTIONS", 16)
    with serving(folder) as served, contextlib.ExitStack() as stack:
        others = [stack.enter_context(one) for one in half(served, 4, "127.0.0.3")]
        slow = [stack.enter_context(one) for one in half(served, 40, "127.0.0.2")]
        assert until(lambda: sum(map(closed, slow)) >= 28)
        for _ in range(5):
            assert ask(f"{served.url}/health").status == 200
        assert not any(map(closed, others))


def test_who_stays_silent_is_no_work_for_long() -> None:
    one = Impatient.__new__(Impatient)
    now = 5.0
    one.loop = SimpleNamespace(time=lambda: now)  # type: ignore[assignment]
    one.cycle, one._since = None, now  # type: ignore[assignment]
    assert one.busy  # it is about to ask
    now += 0.2
    assert not one.busy
    one.cycle = SimpleNamespace(response_complete=False)
    assert one.busy


def bodies(served: Served, count: int, source: str) -> list[socket.socket]:
    """Requests whose body doesn't come; the server has read each head and waits for it."""
    found = []
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", served.port), source_address=(source, 0))
        one.sendall(head + b"Expect: 100-continue\r\n\r\n")
        one.settimeout(20)
        assert one.recv(100).startswith(b"HTTP/1.1 100")
        found.append(one)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of the loopback")
def test_half_sent_bodies_take_nobodys_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.server.connections._EACH", 12)
    monkeypatch.setattr("galago.server.connections._CONNECTIONS", 16)
    with serving(folder) as served, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(one) for one in bodies(served, 9, "127.0.0.2")]
        slow += [stack.enter_context(one) for one in bodies(served, 7, "127.0.0.3")]
        for _ in range(5):
            assert ask(f"{served.url}/health").status == 200
        assert until(lambda: closed(slow[0])) and not any(map(closed, slow[1:]))
        one_more = stack.enter_context(bodies(served, 1, "127.0.0.4")[0])
        assert not closed(one_more)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of the loopback")
def test_who_is_answered_most_makes_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"messages": [user("Talk")], "max_tokens": 4}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with serving(folder) as served, contextlib.ExitStack() as stack, served.language.held():
        busy = []
        for source in ("127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3"):
            one = socket.create_connection(("127.0.0.1", served.port), source_address=(source, 0))
            one.sendall(head % len(text) + text)
            busy.append(stack.enter_context(one))
        assert until(lambda: served.active == 4)
        monkeypatch.setattr("galago.server.connections._CONNECTIONS", 4)
        assert ask(f"{served.url}/health").status == 200
        assert sum(map(closed, busy[:3])) == 1 and not closed(busy[3])


CHUNKED = b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(served: Served, path: bytes, body: bytes) -> bytes:
    """What is answered until the connection is closed."""
    with socket.create_connection(("127.0.0.1", served.port)) as one:
        one.settimeout(20)
        found = b""
        with contextlib.suppress(ConnectionError):
            one.sendall(CHUNKED % path + body)
            while part := one.recv(1000):
                found += part
        return found


def test_a_body_in_crumbs_is_refused(served: Served) -> None:
    """Parsing twenty thousand takes most of a second, in which nobody else would be heard."""
    crumbs = chunked(served, b"/v1/embeddings", b"1\r\n \r\n" * 20_000)
    assert crumbs == b"" or b" 400 " in crumbs.splitlines()[0]
    # so many as large as a line of text are none, nor are a few small ones
    for size, count in ((100, 3000), (1, 900)):
        piece = b"%x\r\n%s\r\n" % (size, b" " * size)
        end = b"1\r\n{\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        whole = chunked(served, b"/v1/embeddings", piece * count + end)
        assert b"invalid_json" in whole


def test_the_health_is_told_while_bodies_come_in_crumbs(served: Served) -> None:
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            chunked(served, b"/v1/embeddings", b"1\r\n \r\n" * 43_000)

    senders = [threading.Thread(target=send) for _ in range(8)]
    for one in senders:
        one.start()
    try:
        slowest = 0.0
        for _ in range(5):
            began = time.monotonic()
            assert ask(f"{served.url}/health").status == 200
            slowest = max(slowest, time.monotonic() - began)
    finally:
        ended.set()
        for one in senders:
            one.join()
    assert slowest < 1


def test_a_body_in_chunks_that_is_not_read_ends_the_connection(folder: Path) -> None:
    with serving(folder, api_key="k") as served:
        answer = chunked(served, b"/v1/embeddings", b"100\r\n")  # and no more
        assert b" 401 " in answer and b"connection: close" in answer.lower()


def test_a_large_body_goes_through(served: Served) -> None:
    assert b"invalid_json" in ask(f"{served.url}/v1/embeddings", b" " * (5 << 20)).body


def test_whom_an_address_belongs_to() -> None:
    assert network_of("10.0.0.1") != network_of("10.0.0.2")
    assert network_of("2001:db8::1") == network_of("2001:db8::2:3") != network_of("2001:db8:1::1")
    assert network_of("::ffff:10.0.0.1") != network_of("::ffff:10.0.0.2")
    assert network_of("") == "" and network_of("fe80::1%eth0") == network_of("fe80::2%eth0")
