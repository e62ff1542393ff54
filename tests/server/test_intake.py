"""How much may be on its way at once: of one address, of all, and nothing where no body is read."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.helpers.serving import Served, ask, serving
from tests.helpers.waiting import until

CHAT = "/v1/chat/completions"
HEAD = "{verb} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"


def begun(
    served: Served, verb: str, path: str, sent: int, source: str = "127.0.0.1"
) -> socket.socket:
    """A request whose body doesn't end."""
    one = socket.create_connection(("127.0.0.1", served.port), source_address=(source, 0))
    head = HEAD.format(verb=verb, path=path, length=sent + 1000)
    one.sendall(head.encode() + b" " * sent)
    return one


def test_routes_without_a_body_read_none(folder: Path) -> None:
    with serving(folder, held_bytes=10_000, api_key="k") as served:
        key = {"Authorization": "Bearer k"}
        slow = [begun(served, "GET", "/health", 9000) for _ in range(4)]
        slow += [begun(served, "POST", path, 9000) for path in ("/health", "/nothing", CHAT)]
        for one in slow:  # answered before the rest has come
            one.settimeout(10)
            assert one.recv(12).split()[1] in (b"200", b"401", b"405")
        # room for who has a key
        assert ask(served.url + CHAT, b" " * 9000, **key).status == 400
        for one in slow:
            one.close()
        assert ask(f"{served.url}/health").status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of the loopback")
def test_one_address_does_not_fill_the_room_of_all(folder: Path) -> None:
    with serving(folder, held_bytes=100_000, held_each=10_000) as served:
        with begun(served, "POST", CHAT, 6000, "127.0.0.2"):
            # its second is too much, another's isn't
            def second() -> bool:
                with begun(served, "POST", CHAT, 6000, "127.0.0.2") as one:
                    one.settimeout(0.2)
                    try:
                        return b" 429 " in one.recv(400)
                    except TimeoutError:
                        return False

            assert until(second)
            assert ask(served.url + CHAT, b" " * 6000).status == 400
        assert until(lambda: ask(served.url + CHAT, b" " * 6000).status == 400)


def test_what_was_sent_is_forgotten(folder: Path) -> None:
    with serving(folder, held_bytes=10_000, held_each=10_000) as served:
        for _ in range(5):  # together they would never fit
            assert ask(served.url + CHAT, b" " * 9000).status == 400
