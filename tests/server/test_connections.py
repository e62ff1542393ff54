"""Connections: those that ask for nothing wait for nobody, and take nobody's place."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from pathlib import Path

import pytest

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


def test_whom_an_address_belongs_to() -> None:
    assert network_of("10.0.0.1") != network_of("10.0.0.2")
    assert network_of("2001:db8::1") == network_of("2001:db8::2:3") != network_of("2001:db8:1::1")
    assert network_of("::ffff:10.0.0.1") != network_of("::ffff:10.0.0.2")
    assert network_of("") == "" and network_of("fe80::1%eth0") == network_of("fe80::2%eth0")
