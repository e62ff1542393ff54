"""The server: OpenAI's client against it, its own routes, what the door refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs galago[serve]")
openai = pytest.importorskip("openai", reason="needs the openai client (extra dev)")

from tests.albums import FakeEmbedder, photo, update  # noqa: E402
from tests.serving import Reply, Served, ask, data_url, serving, until, user  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder) as one:
        yield one


def client(served: Served, **more: Any) -> Any:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0, **more)


def test_openai_whole_and_streamed_are_the_same(served: Served) -> None:
    chat = client(served).chat.completions
    asked = {"model": "fake", "messages": [user("What is it?", data_url())], "max_tokens": 12}
    whole = chat.create(**asked)
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 12
    assert whole.usage.prompt_tokens_details.image_tokens == 16
    assert set(whole.galago) == {
        *("vision", "prefill", "first_token", "tokens_per_second", "confidence", "doubt")
    }
    chunks = list(chat.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-2].choices[0].finish_reason == "length"
    assert not chunks[-1].choices and chunks[-1].usage.completion_tokens == 12
    assert chunks[-1].galago["confidence"] == whole.galago["confidence"]
    plain = list(chat.create(**asked, stream=True))
    assert plain[-1].choices[0].finish_reason == "length" and plain[-1].galago["vision"] < 0.5


def test_openai_async(served: Served) -> None:
    async def both() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any") as one:
            asked = {"model": "fake", "messages": [user("Hello")], "max_tokens": 5}
            whole, stream = await asyncio.gather(
                one.chat.completions.create(**asked),
                one.chat.completions.create(**asked, stream=True),
            )
            pieces = [c.choices[0].delta.content or "" async for c in stream]
            return [whole.choices[0].message.content, "".join(pieces)]

    first, second = asyncio.run(both())
    assert first and first == second


def test_options_reach_the_sampler(served: Served) -> None:
    chat = client(served).chat.completions
    messages = [user("Tell me")]

    def said(**options: Any) -> str:
        answer = chat.create(model="", messages=messages, max_tokens=20, **options)
        return str(answer.choices[0].message.content)

    greedy = said()
    assert said(temperature=0, seed=3) == greedy == said(temperature=2, top_p=0)
    drawn = said(temperature=2, seed=3)
    assert drawn == said(temperature=2, seed=3) != greedy
    stop = greedy[5:8]
    assert said(stop=stop) == greedy[: greedy.index(stop)] == said(stop=["\x00\x00", stop])


def test_a_picture_is_looked_at_once(served: Served) -> None:
    chat = client(served).chat.completions
    picture = data_url("blue")
    before = len(served.vision.calls)
    first = chat.create(model="fake", messages=[user("What?", picture)], max_tokens=4)
    talk = [
        user("What?", picture),
        {"role": "assistant", "content": first.choices[0].message.content},
        user("And?"),
    ]
    second = chat.create(model="fake", messages=talk, max_tokens=4)
    assert len(served.vision.calls) == before + 1
    assert second.usage.prompt_tokens_details.cached_tokens > first.usage.prompt_tokens - 5
    talk[-1] = user("And?", picture, data_url("green"))
    two = chat.create(model="fake", messages=talk, max_tokens=4)
    assert two.usage.prompt_tokens_details.image_tokens == 3 * 16
    assert len(served.vision.calls) == before + 2
    wide = {"galago": {"resolution": 512}}
    third = chat.create(
        model="fake", messages=[user("What?", picture)], max_tokens=4, extra_body=wide
    )
    assert third.usage.prompt_tokens_details.image_tokens == 64
    assert len(served.vision.calls) == before + 3


def test_a_system_message_takes_the_place_of_the_models_own(served: Served) -> None:
    chat = client(served).chat.completions

    def tokens(*messages: Any) -> int:
        answer = chat.create(model="fake", messages=list(messages), max_tokens=1)
        return int(answer.usage.prompt_tokens)

    plain = tokens(user("Hi"))
    same = tokens({"role": "system", "content": "You are a helpful assistant."}, user("Hi"))
    longer = tokens({"role": "developer", "content": "Say nothing but yes or no"}, user("Hi"))
    assert plain == same < longer


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "no messages": ({"messages": []}, 400),
    "no user": ({"messages": [{"role": "system", "content": "x"}]}, 400),
    "the assistant last": ({"messages": [user("a"), {"role": "assistant", "content": "b"}]}, 400),
    "empty question": ({"messages": [user(" ")]}, 400),
    "two choices": ({"n": 2}, 400),
    "heat": ({"temperature": 3}, 400),
    "absurd length": ({"max_tokens": 10**9}, 400),
    "an empty stop": ({"stop": [""]}, 400),
    "tools": ({"tools": [{"type": "function"}]}, 400),
    "a bias": ({"logit_bias": {"50256": -100}}, 400),
    "another model": ({"model": "gpt-9"}, 404),
    "no picture": ({"messages": [user("a", "data:text/plain;base64,AAAA")]}, 400),
    "broken picture": ({"messages": [user("a", "data:image/png;base64,AAAA")]}, 400),
    "broken base64": ({"messages": [user("a", "data:image/png;base64,!!")]}, 400),
    "a file": ({"messages": [user("a", "file:///etc/passwd")]}, 400),
    "a remote one": ({"messages": [user("a", "http://127.0.0.1/x.png")]}, 400),
    "many pictures": ({"messages": [user("a", *[data_url()] * 17)]}, 400),
    "a picture of the system": (
        {"messages": [{**user("a", data_url()), "role": "system"}, user("b")]},
        400,
    ),
    "too long": ({"messages": [user("word " * 20_000)]}, 400),
    "far too long": ({"messages": [user("word " * 200_000)]}, 400),
    "odd resolution": (
        {"messages": [user("a", data_url())], "galago": {"resolution": 300}},
        400,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused_is_refused_in_openais_shape(
    served: Served, case: str, stream: bool
) -> None:
    fields, status = REFUSED[case]
    body = {"model": "fake", "messages": [user("Hi")], "stream": stream, **fields}
    reply = ask(f"{served.url}/v1/chat/completions", body)
    assert reply.status == status
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b"1"])
def test_bodies_that_are_no_request(served: Served, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/embeddings", "/api/search", "/api/classify"):
        reply = ask(served.url + path, body)
        assert reply.status == 400 and reply.json["error"]["message"]


def test_who_goes_away_stops_the_work(served: Served) -> None:
    served.language.pause = 0.02
    try:
        stream = client(served).chat.completions.create(
            model="fake", messages=[user("Talk")], max_tokens=2000, stream=True
        )
        next(iter(stream))
        stream.close()
        body = {"model": "fake", "messages": [user("Talk on")], "max_tokens": 2000}
        with pytest.raises(TimeoutError):  # not streaming: gone before the answer began
            data = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            path = f"{served.url}/v1/chat/completions"
            urllib.request.urlopen(urllib.request.Request(path, data, headers), timeout=0.3)
        assert quiet_after(lambda: served.language.fed)
    finally:
        served.language.pause = 0.0


def quiet_after(figure: Any) -> bool:
    """Whether a figure stops changing within some seconds."""
    for _ in range(50):
        before = figure()
        time.sleep(0.15)
        if figure() == before:
            return True
    return False


def test_a_full_queue_says_when_to_come_again(folder: Path) -> None:
    with serving(folder, parallel=1, queue=1) as served:
        served.language.pause = 0.05
        body = {"model": "fake", "messages": [user("Talk")], "max_tokens": 40}
        replies: list[Reply] = []
        threads = [
            threading.Thread(
                target=lambda: replies.append(ask(f"{served.url}/v1/chat/completions", body))
            )
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    statuses = sorted(reply.status for reply in replies)
    assert statuses == [200, 200, 429, 429, 429]
    full = next(reply for reply in replies if reply.status == 429)
    assert int(full.headers["Retry-After"]) >= 1
    assert full.json["error"]["type"] == "rate_limit_error"


def test_a_request_ends_when_its_time_is_over(folder: Path) -> None:
    with serving(folder, timeout=0.5) as served:
        served.language.pause = 0.05
        body = {"model": "fake", "messages": [user("Talk")], "max_tokens": 1000}
        late = ask(f"{served.url}/v1/chat/completions", body)
        assert late.status == 504 and late.json["error"]["code"] == "timeout"
        cut = ask(f"{served.url}/v1/chat/completions", {**body, "stream": True})
        assert cut.status == 200 and b'"timeout"' in cut.body and b"[DONE]" not in cut.body
        assert quiet_after(lambda: served.language.fed)


def test_turns_are_fair() -> None:
    from galago.server.scheduler import Scheduler

    order: list[str] = []
    hold = threading.Event()

    async def run() -> None:
        scheduler = Scheduler(1, 20, 60)

        def work(name: str) -> Any:
            def once() -> Iterator[None]:
                hold.wait(10)
                order.append(name)
                yield None

            return once

        jobs = [scheduler.submit(name[0], work(name)) for name in ("a0", "a1", "a2", "a3", "b0")]
        hold.set()
        for job in jobs:
            async for _ in job.items():
                pass
        scheduler.stop(5)

    asyncio.run(run())
    assert order == ["a0", "a1", "b0", "a2", "a3"] or order == ["a0", "b0", "a1", "a2", "a3"]


def test_embeddings(served: Served) -> None:
    import numpy as np

    one = client(served)
    red = data_url("red")
    made = one.embeddings.create(model="fake", input=["a red thing", red, "a blue thing"])
    rows = np.array([item.embedding for item in made.data])
    assert rows.shape == (3, 24) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[1] @ rows[0] > rows[1] @ rows[2]
    assert made.usage.prompt_tokens == 2 * (3 + 2)  # start and end are tokens too
    plain = one.embeddings.create(model="fake", input="a red thing", encoding_format="float")
    assert np.allclose(plain.data[0].embedding, rows[0], atol=1e-6)
    for bad in ({"input": []}, {"input": [""]}, {"input": [[1, 2]]}, {"dimensions": 7}):
        fields = {"model": "fake", "input": "a", **bad}
        assert ask(f"{served.url}/v1/embeddings", fields).status == 400


def test_pictures_to_embed_are_few_and_end_with_their_request(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(folder, timeout=0.5, embedded=40, parallel=1) as served:
        path = f"{served.url}/v1/embeddings"
        many = ask(path, {"input": [data_url()] * 41})
        assert many.status == 400 and "at most 40" in many.json["error"]["message"]
        prepare = served.clip.prepare

        def slow(*given: Any, **named: Any) -> Any:
            time.sleep(0.1)
            return prepare(*given, **named)

        monkeypatch.setattr(served.clip, "prepare", slow)
        assert ask(path, {"input": [data_url()] * 40}).status == 504
        assert quiet_after(lambda: served.clip.prepared)
        assert served.clip.prepared < 40


def test_models_page_metrics_docs(served: Served) -> None:
    assert [model.id for model in client(served).models.list()] == ["fake", "fake"]
    page = ask(f"{served.url}/api/page").json
    assert set(page) == {
        *("version", "models", "default", "presets", "album", "album_problem", "languages")
    }
    assert page["album"] is page["album_problem"] is None and page["default"] == "fake"
    assert any("{language}" in preset["prompt"] for preset in page["presets"])
    figures = ask(f"{served.url}/metrics").body.decode()
    for name in ("galago_requests_total", "galago_queue_waiting", "galago_first_token_seconds"):
        assert name in figures
    docs = ask(f"{served.url}/docs")
    assert b"/v1/chat/completions" in docs.body and b"<script" not in docs.body
    assert b"http://" not in docs.body and b"https://" not in docs.body
    schema = ask(f"{served.url}/openapi.json").json
    assert all(
        "422" not in one["responses"] for p in schema["paths"].values() for one in p.values()
    )
    unbuilt = ask(f"{served.url}/")
    assert unbuilt.status == 200 and b"make page" in unbuilt.body


def test_the_built_page_is_served(folder: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>page</title>")
    (static / "assets" / "a.js").write_text("1")
    (tmp_path / "secret").write_text("no")
    with serving(folder, static=static, api_key="k") as served:
        assert b"<title>page" in ask(f"{served.url}/").body
        assert ask(f"{served.url}/assets/a.js").body == b"1"
        wrong = ask(f"{served.url}/v1/embeddings", Authorization="Bearer k")
        assert wrong.status == 405 and wrong.headers["Allow"] == "POST"
        assert ask(f"{served.url}/assets/../../secret").status in (401, 404)
        assert ask(f"{served.url}/assets/%2e%2e/%2e%2e/secret").status in (401, 404)


# -- the album -------------------------------------------------------------------------------------


def test_album_search_photo_classify(folder: Path, album: Path, tmp_path: Path) -> None:
    from galago.album import Guide, Searcher

    for at, colour in enumerate(("red", "red", "blue", "green")):
        photo(tmp_path / "photos" / f"{colour}{at}.png", colour, at)
    update(album, tmp_path / "photos")
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served:
            page = ask(f"{served.url}/api/page").json
            assert page["album"] == {"name": "mine", "photos": 4, "model": "fake"}
            found = ask(f"{served.url}/api/search", {"text": "red", "k": 2}).json
            assert {hit["name"] for hit in found["hits"]} == {"red0.png", "red1.png"}
            like = ask(f"{served.url}/api/search", {"image": data_url("blue"), "k": 1}).json
            assert like["hits"][0]["name"] == "blue2.png" and like["any_match"]
            both = {"plus": data_url("red"), "minus": "blue"}
            assert ask(f"{served.url}/api/search", both).status == 200
            thumb = ask(served.url + found["hits"][0]["thumb"])
            assert thumb.body[:2] == b"\xff\xd8" and thumb.headers["Content-Type"] == "image/jpeg"
            for path in ("999", "0", "-1", "..%2f..", "1e3"):
                assert ask(f"{served.url}/api/photo/{path}").status in (400, 404)
            assert ask(f"{served.url}/api/search", {}).status == 400
            fields = {"image": data_url(), "labels": ["a", "b"]}
            labels = ask(f"{served.url}/api/classify", fields).json
            assert labels == {"labels": [{"label": n, "share": 0.5} for n in "ab"]}


def test_few_photos_are_decoded_at_once(
    folder: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.album import Guide, Searcher

    photo(tmp_path / "photos" / "a.png")
    update(album, tmp_path / "photos")
    at_once: list[int] = []
    inside = 0

    def thumbnail(*_: Any) -> bytes:
        nonlocal inside
        inside += 1
        at_once.append(inside)
        time.sleep(0.02)
        inside -= 1
        return b"jpeg"

    monkeypatch.setattr("galago.server.page_routes.thumbnail", thumbnail)
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served, ThreadPoolExecutor(12) as pool:
            replies = list(pool.map(lambda _: ask(f"{served.url}/api/photo/1"), range(24)))
    assert [reply.body for reply in replies] == [b"jpeg"] * 24
    assert len(at_once) == 24 and max(at_once) <= 2


def test_half_a_character_is_no_fault(served: Served) -> None:
    half = b'"\\ud800"'
    image = json.dumps(data_url()).encode()
    for path, body in (
        ("/api/classify", b'{"image": %s, "labels": [%s, "b"]}' % (image, half)),
        ("/v1/embeddings", b'{"input": [%s, "b"]}' % half),
        ("/v1/chat/completions", b'{"model": %s, "messages": []}' % half),
        (
            "/v1/chat/completions",
            b'{"max_tokens": 2, "messages": [{"role": "user", "content": %s}]}' % half,
        ),
        ("/api/search", b'{%s: 1, "k": %s}' % (half, half)),
    ):
        assert ask(served.url + path, body).status in (200, 400, 404), path


def test_search_without_an_album_says_how_to_make_one(served: Served) -> None:
    reply = ask(f"{served.url}/api/search", {"text": "red"})
    assert reply.status == 404 and "galago index" in reply.json["error"]["message"]


def test_an_album_that_cannot_be_opened_is_told(folder: Path) -> None:
    from galago.errors import StorageError

    def album() -> Any:
        raise StorageError("the album is damaged: galago index --fresh")

    with serving(folder, album) as served:
        page = ask(f"{served.url}/api/page").json
        assert page["album"] is None and "--fresh" in page["album_problem"]
        for path, body in (("/api/search", {"text": "red"}), ("/api/photo/1", None)):
            reply = ask(served.url + path, body)
            assert reply.status == 500 and "--fresh" in reply.json["error"]["message"]


# -- the door --------------------------------------------------------------------------------------


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


def test_who_sends_no_request_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.server.run._HEAD_SECONDS", 0.3)
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
        quiet_after(lambda: len(lines))
    finally:
        logger.removeHandler(keep)
        logger.setLevel(level)
    text = "\n".join(lines)
    assert "/v1/chat/completions 200" in text
    assert not any(word in text for word in ("secret", "hidden", "private"))
