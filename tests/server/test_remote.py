"""Pictures of other computers: what is private, and how long anything may take."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from galago.server import remote
from galago.server.problems import Problem
from tests.helpers.serving import ask, serving, user


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((a, False) for a in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254")),
        *((a, False) for a in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0")),
        *((a, False) for a in ("fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::")),
        *((a, False) for a in ("fec0::1", "64:ff9b:1::a00:1", "2001:0:1::a00:1", "::10.0.0.1")),
        *((a, True) for a in ("93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34")),
    ],
)
def test_private_addresses(address: str, public: bool) -> None:
    assert remote.is_public(address) is public


def test_nothing_private_is_fetched(folder: Path) -> None:
    with serving(folder, allow_remote_images=True) as served:
        for url in (
            f"{served.url}/x.png",
            "http://localhost/x.png",
            "http://[::1]/",
            "http://a@b/",
            "http://[::1]:0/x",
            "http://127.0.0.1:99999/x.png",
        ):
            body = {"model": "fake", "messages": [user("a", url)]}
            reply = ask(f"{served.url}/v1/chat/completions", body)
            assert reply.status == 400 and reply.json["error"]["code"] == "remote_image"


def test_port_0_is_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "is_public", lambda address: address == "127.0.0.1")
    tried: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given, **_: tried.append(given))
    for url in ("http://127.0.0.1:0/x", "https://127.0.0.1:00/x"):
        with pytest.raises(Problem):
            remote.fetch(url)
    assert not tried


def test_what_is_public_is_fetched_within_limits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("x")
    (static / "assets" / "a.bin").write_bytes(b"picture" * 10)
    monkeypatch.setattr(remote, "is_public", lambda address: address == "127.0.0.1")
    with serving(folder, static=static) as served:
        assert remote.fetch(f"{served.url}/assets/a.bin") == b"picture" * 10
        monkeypatch.setattr(remote, "_BYTES", 20)
        for url in (f"{served.url}/assets/a.bin", f"{served.url}/nothing"):
            with pytest.raises(Problem):
                remote.fetch(url)


Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def answering(talk: Talk) -> Iterator[str]:
    """The address, without a scheme, of somebody who talks like this to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with contextlib.suppress(OSError):  # closed, or cut
                while True:
                    with listening.accept()[0] as one:
                        talk(one)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
    thread.join(30)
    assert not thread.is_alive()


def trickle(head: bytes) -> Talk:
    """This at once, then a byte now and then until the other side goes."""

    def talk(one: socket.socket) -> None:
        one.sendall(head)
        one.settimeout(0.05)
        while True:
            with contextlib.suppress(TimeoutError):
                if one.recv(4096) == b"":
                    return
            one.sendall(b"x")

    return talk


@pytest.mark.parametrize(
    ("scheme", "head"),
    [
        ("https", b"\x16\x03\x03\x40\x00"),  # a long record of a handshake
        ("http", b"HTTP/1.1 200 OK\r\nX-Long: "),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),  # its end is the body's
    ],
)
def test_one_time_limit_for_all_of_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str, head: bytes
) -> None:
    monkeypatch.setattr(remote, "is_public", lambda _: True)
    monkeypatch.setattr(remote, "_SECONDS", 0.2)
    with answering(trickle(head)) as place, pytest.raises(Problem, match="within"):
        remote.fetch(f"{scheme}://{place}/a.png")


def test_a_name_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def never(*_: Any, **__: Any) -> Any:
        over.wait()
        raise OSError

    monkeypatch.setattr(remote, "_SECONDS", 0.2)
    monkeypatch.setattr("socket.getaddrinfo", never)
    try:
        with pytest.raises(Problem, match="within"):
            remote.fetch("http://pictures.example/a.png")
    finally:
        over.set()


def test_a_body_that_ends_too_early_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(one: socket.socket) -> None:
        one.recv(4096)
        one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    monkeypatch.setattr(remote, "is_public", lambda _: True)
    with answering(short) as place, pytest.raises(Problem, match="fetched|whole"):
        remote.fetch(f"http://{place}/a.png")
