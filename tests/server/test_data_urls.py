"""Data URLs as browsers read them: what the bytes are decides, whatever they are called."""

from __future__ import annotations

import base64
import contextlib
import random
import time
import tracemalloc
import urllib.parse

import pytest

from galago.server.data_urls import Opener, is_picture
from galago.server.problems import Problem
from tests.helpers.serving import Served, ask, data_url, user

DATA = bytes(range(256)) + b"\xfb\xff\xfe"
PLAIN = base64.b64encode(DATA + b"!").decode()  # ends in two "="
LINES = base64.encodebytes(DATA + b"!").decode()
SAFE = base64.urlsafe_b64encode(DATA + b"!").decode()


def opened(url: str) -> bytes:
    opener = Opener(1 << 20)
    opener.check(url, "image")
    return opener.open(url)


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{PLAIN}",
        f"DATA:IMAGE/PNG;BASE64,{PLAIN}",
        f"data:image/png;charset=x;base64,{LINES}",
        f"data:image/png;base64,{LINES.replace(chr(10), chr(13) + chr(10) + ' ')}",
        f"data:image/png;base64,{PLAIN.rstrip('=')}",
        f"data:image/png;base64,{PLAIN[:-1]}",
        f"data:image/png;base64,{SAFE}",
        f"data:image/png;base64,{SAFE.rstrip('=')}",
        f"data:image/png;base64,{urllib.parse.quote(PLAIN, safe='')}",
        f"data:image/png;base64,{urllib.parse.quote(LINES, safe='')}",
        f"data:image/png;base64,{PLAIN}#fragment",
        f"data:;base64,{PLAIN}",
        f"data:application/octet-stream;base64,{PLAIN}",
        f"data:image/png; base64,{PLAIN}",
        f"data:text/plain;base64 ,{PLAIN}",
        f"  data:image/png;base64,{PLAIN}",
        f"data:image/png,{urllib.parse.quote(DATA + b'!')}",
    ],
)
def test_every_way_to_write_the_same_bytes(url: str) -> None:
    assert opened(url) == DATA + b"!"


@pytest.mark.parametrize("length", range(9))
def test_lengths(length: int) -> None:
    data = DATA[: length + 1]
    assert opened("data:;base64," + base64.b64encode(data).decode().rstrip("=")) == data


@pytest.mark.parametrize(
    "data", ["", "A", "AAAAA", "A===", "====", "AA=A", "AA!A", "AÄAA", "AA\ud800A", "%41", "😀"]
)
def test_what_is_no_base64(data: str) -> None:
    with pytest.raises(Problem) as caught:
        opened(f"data:;base64,{data}")
    assert caught.value.status == 400 and caught.value.code == "invalid_image"


@pytest.mark.parametrize("url", ["data:", "data:image/png;base64", "data" + ":" * 2000 + ",", ""])
def test_what_is_no_data_url(url: str) -> None:
    with pytest.raises(Problem):
        Opener(1000).check(url, "image")


def test_escapes_as_pythons_own() -> None:
    drawn = random.Random(1)
    for _ in range(30):
        text = "".join(drawn.choices("%%%0123456789abcdefABCDEFg", k=drawn.randrange(1, 60)))
        assert opened(f"data:,{text}") == urllib.parse.unquote_to_bytes(text)
    long = "%41%" * (1 << 17)  # pieces end inside of escapes
    assert opened(f"data:,{long}") == urllib.parse.unquote_to_bytes(long)


@pytest.mark.parametrize("unit", ["QUJD", "QUJD" * 19 + "\n", "%41", "%", "=", "%%4"])
def test_large_ones_are_quick_and_take_little_memory(unit: str) -> None:
    url = "data:;base64," + unit * ((8 << 20) // len(unit))
    opener = Opener(32 << 20)
    tracemalloc.start()
    began = time.process_time()
    with contextlib.suppress(Problem):
        opener.open(url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 5 and peak < 5 * len(url)


def test_words_and_pictures_are_told_apart() -> None:
    for url in (data_url(), "data:;base64,AAAA", "data:application/x; base64,AA", "DATA:IMAGE/x,"):
        assert is_picture(url)
    for text in ("data: what is it, really", "data:,x", "a shoe", "", "data:image", ",data:image/"):
        assert not is_picture(text)


def test_the_routes_take_them(served: Served) -> None:
    plain = data_url().partition(",")[2]
    broken = f"{plain[:40]}\r\n{plain[40:].rstrip('=')}"
    for url in (f"data:;base64,{plain}", f"data:application/octet-stream; base64,{broken}"):
        chat = {"messages": [user("What?", url)], "max_tokens": 1}
        assert ask(f"{served.url}/v1/chat/completions", chat).status == 200
        made = ask(f"{served.url}/v1/embeddings", {"input": [url]}).json
        assert made["usage"]["prompt_tokens"] == 0
        fields = {"image": url, "labels": ["a"]}
        assert ask(f"{served.url}/api/classify", fields).status == 200
