"""Bodies that cost: large, wide and deep ones, and what others wait meanwhile."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.load.process import Server

CHAT, VECTORS = "/v1/chat/completions", "/v1/embeddings"
MOST = (32 << 20) - 200  # bytes, with room for what stands around

_LISTS = {
    f"{path} {field}": (path, field)
    for path, fields in {
        CHAT: ("messages", "stop", "tools", "logit_bias", "metadata", "model", "temperature"),
        VECTORS: ("input", "model"),
        "/api/search": ("text", "image"),
        "/api/classify": ("labels", "image"),
    }.items()
    for field in fields
}


_PLAIN = {
    CHAT: b'"messages":[{"role":"user","content":"a"}]',
    VECTORS: b'"input":"a"',
    "/api/search": b'"k":1',
    "/api/classify": b'"labels":["a","b"],"image":"data:image/png;base64,AAAA"',
}


def _around(path: str, field: str, value: bytes) -> bytes:
    """A body that lacks nothing, with one field of this value."""
    return b'{%s,"%s":%s}' % (_PLAIN[path], field.encode(), value)


def _times(one: bytes, size: int = MOST) -> bytes:
    """A list of one thing again and again."""
    return b"[%s]" % b",".join([one] * (size // (len(one) + 1)))


Case = tuple[str, str, Callable[[], bytes]]  # a name, a path, what makes the body


def cases() -> Iterator[Case]:
    yield from _wide()
    yield from _long()
    yield from _pictures()


def _wide() -> Iterator[Case]:
    """Millions of small things."""
    for name, (path, field) in _LISTS.items():
        yield f"{name}: 0s", path, partial(_field_of_zeros, path, field)
    for told, one in (("0s", b"0"), ("lists", b"[]"), ("objects", b"{}"), ("texts", b'""')):
        yield f"content: {told}", CHAT, partial(_content, partial(_times, one))
    yield "many keys", CHAT, _many_keys
    yield "one key many times", CHAT, lambda: b"{%s}" % b",".join([b'"n":1'] * (MOST // 6))


def _long() -> Iterator[Case]:
    """One large thing."""
    quoted = b'"%s"'
    for told, made in {
        "a long text": lambda: quoted % (b"a" * MOST),
        "a long text of blanks": lambda: quoted % (b" " * MOST),
        "quotes": lambda: quoted % (b'\\"' * (MOST // 2)),
        "backslashes": lambda: quoted % (b"\\\\" * (MOST // 2)),
        "escapes": lambda: quoted % (b"\\u20ac" * (MOST // 6)),
        "commas in a text": lambda: quoted % (b"," * MOST),
        "one wide character": lambda: quoted % (b"a" * (MOST - 4) + "😀".encode()),
        "digits": lambda: b"1" * MOST,
        "a fraction": lambda: b"0." + b"1" * (MOST - 2),
        "an exponent": lambda: b"1e" + b"9" * 400_000,
        "deep lists": lambda: b"[" * (MOST // 2) + b"]" * (MOST // 2),
        "deep objects": lambda: b'{"a":' * (MOST // 6) + b"1" + b"}" * (MOST // 6),
        "blanks": lambda: b" " * MOST + b"1",
    }.items():
        yield told, CHAT, partial(_content, made)
    text = b'"%s"' % (b"word " * 20_000)
    labels = "/api/classify"
    yield "a label of words", labels, lambda: _around(labels, "labels", b'["%s"]' % _words())
    yield "a text to embed", VECTORS, lambda: _around(VECTORS, "input", b'["%s"]' % _words())
    yield "256 texts to embed", VECTORS, lambda: _around(VECTORS, "input", _times(text, 25_600_000))
    yield "no UTF-8", CHAT, lambda: b"\xff" * MOST
    yield "zeros", CHAT, lambda: b"\0" * MOST


def _pictures() -> Iterator[Case]:
    """Data URLs that are no picture."""
    for told, unit in {
        "base64": b"QUJD",
        "base64 in lines": b"QUJD" * 19 + b"\\n",
        "per cent": b"%41",
        "per cents": b"%",
        "equals": b"=",
    }.items():
        yield f"a picture of {told}", "/api/classify", partial(_picture, unit)


def _picture(unit: bytes) -> bytes:
    url = b'"data:image/png;base64,%s"' % (unit * (MOST // len(unit)))
    return _around("/api/classify", "image", url)


def _content(made: Callable[[], bytes]) -> bytes:
    return _around(CHAT, "messages", b'[{"role":"user","content":%s}]' % made())


def _field_of_zeros(path: str, field: str) -> bytes:
    return _around(path, field, _times(b"0"))


def _many_keys() -> bytes:
    return b"{%s}" % b",".join(b'"%x":0' % at for at in range(MOST // 11))


def _words() -> bytes:
    return b"a " * (MOST // 2)


def bodies(server: Server, only: str = "") -> dict[str, Any]:
    """Of each body: status, seconds, the longest that /health took, megabytes more at the peak."""
    found: dict[str, Any] = {}
    for name, path, make in cases():
        if only in name:
            found[name] = _one(server, path, make())
            print(name, found[name], flush=True)
    return found


def _one(server: Server, path: str, body: bytes) -> dict[str, Any]:
    waits: list[float] = []
    done = threading.Event()

    def others() -> None:
        while not done.is_set():
            began = time.monotonic()
            server.ask("GET", "/health")
            waits.append(time.monotonic() - began)
            time.sleep(0.01)

    status = Path(f"/proc/{server.process.pid}")
    (status / "clear_refs").write_text("5")  # the peak begins anew
    before = server.memory()
    watch = threading.Thread(target=others)
    watch.start()
    began = time.monotonic()
    try:
        reply = server.ask("POST", path, body)
        code: Any = reply.status
        told = _told(reply.body)
    except OSError as error:
        code, told = type(error).__name__, ""
    seconds = time.monotonic() - began
    done.set()
    watch.join()
    peak = int(re.search(r"VmHWM:\s+(\d+)", (status / "status").read_text())[1]) / 1024  # type: ignore[index]
    return {
        "status": code,
        "seconds": round(seconds, 2),
        "others_waited": round(max(waits), 2),
        "mb_more": round(peak - before),
        "told": told,
    }


def _told(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])[:160]
    except (ValueError, KeyError):
        return ""
