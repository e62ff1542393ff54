"""OpenAI's client against the server: chat, embeddings, and what is refused in its shape."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.serving import Served, ask, data_url, serving, user
from tests.helpers.waiting import until


def openai() -> Any:
    """The client, which takes long to import."""
    return pytest.importorskip("openai", reason="needs the openai client (extra dev)")


def client(served: Served, **more: Any) -> Any:
    return openai().OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0, **more)


def test_openai_whole_and_streamed_are_the_same(served: Served) -> None:
    chat = client(served).chat.completions
    asked = {"model": "fake", "messages": [user("What is it?", data_url())], "max_tokens": 12}
    whole = chat.create(**asked)
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 12
    assert whole.usage.prompt_tokens_details.image_tokens == 16
    assert set(whole.galago) == {
        *("vision", "prefill", "first_token", "tokens_per_second", "confidence", "known", "doubt"),
        "cut",
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
        async with openai().AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any") as one:
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
    "the assistant alone": ({"messages": [{"role": "assistant", "content": "b"}]}, 400),
    "empty question": ({"messages": [user(" ")]}, 400),
    "two choices": ({"n": 2}, 400),
    "heat": ({"temperature": 3}, 400),
    "no tokens": ({"max_tokens": 0}, 400),
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
    assert error["code"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b"1"])
def test_bodies_that_are_no_request(served: Served, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/embeddings", "/api/search", "/api/classify"):
        reply = ask(served.url + path, body)
        assert reply.status == 400 and reply.json["error"]["message"]


def test_embeddings(served: Served) -> None:
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
        prepare, steps = served.clip.prepare, threading.Semaphore(3)

        def slow(*given: Any, **named: Any) -> Any:
            assert steps.acquire(timeout=30)
            return prepare(*given, **named)

        monkeypatch.setattr(served.clip, "prepare", slow)
        assert ask(path, {"input": [data_url()] * 40}).status == 504
        assert until(lambda: steps.release() or served.active == 0)
        assert served.clip.prepared < 40


def test_models(served: Served) -> None:
    assert [model.id for model in client(served).models.list()] == ["fake", "fake"]


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


def test_models_by_their_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(folder) as served:
        monkeypatch.setattr(served.clip, "name", "apple/MobileCLIP2-S0", raising=False)
        for path, kind in (
            ("fake", "fastvlm"),
            ("apple/MobileCLIP2-S0", "mobileclip"),
            ("apple%2FMobileCLIP2-S0", "mobileclip"),
        ):
            card = ask(f"{served.url}/v1/models/{path}").json
            assert card["kind"] == kind and card["object"] == "model"
        assert client(served).models.retrieve("fake").id == "fake"
        assert ask(f"{served.url}/v1/models/gpt-9").status == 404


def said(served: Served, *messages: dict[str, Any], **more: Any) -> Any:
    fields = {"messages": list(messages), "max_tokens": 6, **more}
    reply = ask(f"{served.url}/v1/chat/completions", fields)
    assert reply.status == 200, reply.body
    return reply.json


def test_an_answer_that_was_begun_is_continued(served: Served) -> None:
    whole = said(served, user("Go on"))
    begun = {"role": "assistant", "content": "I have"}
    rest = said(served, user("Go on"), begun)
    nothing = said(served, user("Go on"), {"role": "assistant", "content": ""})
    assert whole["choices"][0]["message"]["content"] == nothing["choices"][0]["message"]["content"]
    # no new turn began behind it: only its own words came on top
    more = rest["usage"]["prompt_tokens"] - whole["usage"]["prompt_tokens"]
    assert 0 < more <= len("I have") and rest["choices"][0]["message"]["content"]


def test_what_a_tool_said_is_a_turn(served: Served) -> None:
    tool = {"role": "tool", "tool_call_id": "1", "content": "12 degrees"}
    called = {"role": "assistant", "content": "I look.", "tool_calls": []}
    with_tool = said(served, user("How warm?"), called, tool)
    told = user("<tool_response>\n12 degrees\n</tool_response>")
    without = said(served, user("How warm?"), called, told)
    assert with_tool["usage"]["prompt_tokens"] == without["usage"]["prompt_tokens"]
    parts = {"role": "tool", "content": [{"type": "text", "text": "12"}]}
    assert said(served, user("How warm?"), called, parts)


def test_as_many_tokens_as_fit(folder: Path) -> None:
    with serving(folder, context=100) as served:
        for most in (-1, 10**6, 10**30):
            answer = said(served, user("Talk"), max_tokens=most)
            assert answer["usage"]["total_tokens"] == 100
            assert answer["choices"][0]["finish_reason"] == "length"
        answer = said(served, user("Talk"), max_tokens=None, max_completion_tokens=-1)
        assert answer["usage"]["total_tokens"] == 100


def test_sampling_options_that_others_have(served: Served) -> None:
    hot = {"temperature": 2.0, "seed": 3, "max_tokens": 20}
    greedy, drawn = said(served, user("Say"), max_tokens=20), said(served, user("Say"), **hot)
    text = "choices", 0, "message", "content"

    def words(answer: Any) -> Any:
        for step in text:
            answer = answer[step]
        return answer

    assert words(drawn) != words(greedy)
    for one in ({"top_k": 1}, {"min_p": 1.0}):
        assert words(said(served, user("Say"), **hot, **one)) == words(greedy)
    assert words(said(served, user("Say"), **hot, top_k=-1)) == words(drawn)
    same = [
        words(said(served, user("Say"), max_tokens=20, **{name: 5.0}))
        for name in ("repetition_penalty", "repeat_penalty")
    ]
    assert same[0] == same[1] != words(greedy)


def test_texts_to_embed_are_bounded_together_and_counted_by_a_worker(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(folder) as served:
        path = f"{served.url}/v1/embeddings"
        many = ask(path, {"input": ["a" * 100_000] * 11})
        assert many.status == 400 and "1000000" in many.json["error"]["message"]
        assert many.json["error"]["code"] == "too_long"
        counting, threads = threading.Event(), []

        def slow(text: str) -> int:
            threads.append(threading.current_thread().name)
            counting.set()
            assert ask(f"{served.url}/health").status == 200  # the loop is free
            return 1

        monkeypatch.setattr(served.clip, "count_tokens", slow)
        made = ask(path, {"input": ["a", "b"]})
        assert made.json["usage"]["prompt_tokens"] == 2 and counting.is_set()
        assert all(name.startswith("galago-") for name in threads)
