"""Bodies that are no request, or would make millions of things: refused before anything is made."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import pytest

from galago.server.bodies import parsed
from galago.server.problems import Problem
from tests.helpers.serving import Served, ask, user

CHAT = "/v1/chat/completions"
MB = 1 << 20


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        parsed(body)
    assert caught.value.status == 400
    return caught.value


def times(one: bytes, size: int) -> bytes:
    return b"[%s]" % b",".join([one] * (size // (len(one) + 1)))


WIDE = {
    "numbers": times(b"0", 2 * MB),
    "lists": times(b"[]", 2 * MB),
    "objects": times(b"{}", 2 * MB),
    "texts": times(b'""', 2 * MB),
    "keys": b"{%s}" % b",".join(b'"%d":0' % at for at in range(100_000)),
    "one key": b"{%s}" % b",".join([b'"a":0'] * 100_000),
    "digits": b"1" * 2 * MB,
    "a fraction": b"0." + b"1" * 2 * MB,
    "escapes": b'"%s"' % (b"\\n" * 2 * MB),
    "deep lists": b"[" * MB + b"]" * MB,
    "a little deep": b"[" * 60 + b"]" * 60,
    "deep objects": b'{"a":' * 100 + b"1" + b"}" * 100,
    "a text between": times(b'"[","\\"","\\\\"', 2 * MB),
}


@pytest.mark.parametrize("name", WIDE)
def test_too_much_is_told_by_looking_at_the_bytes(name: str) -> None:
    began = time.process_time()
    assert refused(WIDE[name]).code == "too_many_values"
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"  ", b"{", b"[1,]", b"\xff\xfe", b"{'a':1}", b'"a', b"[1]]", b"nul", b"\0"),
        *(b"NaN", b"[Infinity]", b"-Infinity", b"1" * 5000, b'"\xff"', b'"\xed\xa0\x80"', b"01"),
    ],
)
def test_what_is_no_json(body: bytes) -> None:
    assert refused(body).code == "invalid_json"


def test_what_is_json() -> None:
    marks = '[{,:"\\' * 100_000  # inside of a text they don't count
    for value in ({"a": [1, 2.5, None, True, "é"]}, {"text": marks}, "\\", '\\"', ["\\\\", '"']):
        assert parsed(json.dumps(value).encode()) == value
    assert parsed(b'\xef\xbb\xbf{"a": 1, "a": 2}') == {"a": 2}
    # half a character, as JavaScript cuts texts, is for the routes to read as they like
    assert parsed(b'["\\ud800", "\\ud83d\\ude00"]') == ["\ud800", "😀"]
    deep = b"[" * 40 + b"]" * 40
    assert json.dumps(parsed(deep)).encode() == deep


FIELDS: dict[str, Any] = {
    CHAT: ("messages", "stop", "tools", "logit_bias", "modalities", "stream_options", "images"),
    "/v1/embeddings": ("input", "model", "dimensions"),
    "/api/classify": ("labels", "image"),
    "/api/search": ("text", "image"),
}


@pytest.mark.parametrize("path", FIELDS)
def test_a_long_list_costs_little_wherever_it_stands(served: Served, path: str) -> None:
    for field in FIELDS[path]:
        for count, one in ((400_000, 0), (4000, 0), (4000, "a"), (3000, {"type": "text"})):
            body = {"messages": [user("Hi")]} if path == CHAT else {}
            before, began = peak(), time.process_time()
            reply = ask(served.url + path, {**body, field: [one] * count})
            # labels that are words are no fault, but how many there are
            assert reply.status == 400 and len(reply.json["error"]["message"]) < 400
            assert time.process_time() - began < 5 and peak() - before < 200
    content = [{"role": "user", "content": [0] * 4000}] * 4
    began = time.process_time()
    assert ask(served.url + CHAT, {"messages": content}).status == 400
    assert time.process_time() - began < 3


def peak() -> float:
    """Megabytes that this process, which serves, has held at most."""
    scale = 20 if sys.platform == "darwin" else 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << scale)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "x"])
def test_json_is_read_whatever_the_header_says(served: Served, kind: str) -> None:
    body = json.dumps({"messages": [user("Hi")], "max_tokens": 1}).encode()
    assert ask(served.url + CHAT, body, **{"Content-Type": kind}).status == 200


def test_the_header_is_named_where_it_may_be_why(served: Served) -> None:
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    told = ask(served.url + CHAT, b"--x", **form).json["error"]
    assert "multipart/form-data" in told["message"] and "application/json" in told["message"]
    assert told["code"] == "invalid_json"
    assert "Content-Type" not in ask(served.url + CHAT, b"{").json["error"]["message"]
