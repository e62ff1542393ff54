"""The bytes of a picture, wherever they are."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from galago.errors import ImageError
from galago.scale import addresses, items
from galago.scale.items import File, Item, Stretch, Web


def test_a_file_and_a_stretch_of_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert File(str(tmp_path / "a")).read() == b"0123456789"
    assert Stretch(str(tmp_path / "a"), 3, 4).read() == b"3456"


def test_what_isnt_there_may_be_another_time(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        File(str(tmp_path / "a")).read()


def test_what_is_too_large_never_is_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    monkeypatch.setattr(items, "_MOST", 9)
    with pytest.raises(ImageError, match="more than a gigabyte"):
        File(str(tmp_path / "a")).read()
    with pytest.raises(ImageError, match="it has 10 bytes"):
        Stretch(str(tmp_path / "a"), 0, 10).read()


def test_a_label_is_fit_for_messages() -> None:
    assert Item("/ä.jpg".encode(), Web("http://x/")).label == "/ä.jpg"


class Server(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        again = self.path == "/busy.jpg" and self.asked.count(self.path) < 3
        code = {"/gone.jpg": 404, "/ever.jpg": 503}.get(self.path, 429 if again else 200)
        self.send_response(code)
        body = b"bytes of " + self.path.encode()
        if self.path.startswith("/cut"):
            self.send_header("Content-Length", str(len(body) + 1))
            if self.path == "/cut-once.jpg" and self.asked.count(self.path) > 1:
                body += b"!"
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(addresses, "_FIRST_WAIT", 0.0)
    Server.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_web_is_asked_again_where_that_may_help(served: str) -> None:
    assert Web(f"{served}/a.jpg").read() == b"bytes of /a.jpg"
    assert Web(f"{served}/ä b%20.jpg").read() == b"bytes of /%C3%A4%20b%20.jpg"
    assert Web(f"{served}/busy.jpg").read() == b"bytes of /busy.jpg"
    assert Server.asked.count("/busy.jpg") == 3
    with pytest.raises(ImageError, match="its server answers 404"):
        Web(f"{served}/gone.jpg").read()
    assert Server.asked.count("/gone.jpg") == 1
    with pytest.raises(OSError, match="503"):
        Web(f"{served}/ever.jpg").read()
    assert Server.asked.count("/ever.jpg") == 5


def test_an_answer_that_breaks_off_is_asked_for_again(served: str) -> None:
    assert Web(f"{served}/cut-once.jpg").read() == b"bytes of /cut-once.jpg!"
    with pytest.raises(OSError, match="its server's answer breaks off"):
        Web(f"{served}/cut.jpg").read()
    assert Server.asked.count("/cut.jpg") == 5


def test_a_server_that_isnt_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_FIRST_WAIT", 0.0)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # where nobody listens
        with pytest.raises(OSError, match=r"^its server can't be reached \([^<>]+\)$"):
            Web(f"http://127.0.0.1:{held.getsockname()[1]}/a.jpg").read()


def test_an_address_that_is_none_is_no_picture() -> None:
    with pytest.raises(ImageError, match="its address can't be asked"):
        Web("http://[::1/a.jpg").read()
