"""Errors in one shape, each with a code, and none that reads a picture out."""

from __future__ import annotations

import pytest

from galago.errors import GalagoError, ImageError, OptionError, install_line
from galago.media.formats import PluginError
from galago.server.problems import Problem, problem_of
from tests.helpers.serving import Served, ask, data_url, user


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 408, 413, 418, 429, 500, 502, 503, 504]
)
def test_every_problem_has_a_code(status: int) -> None:
    assert Problem(status, "no").body()["error"]["code"]


def test_errors_of_galago_have_one_too(caplog: pytest.LogCaptureFixture) -> None:
    for error in (
        *(ImageError("a"), OptionError("a"), GalagoError("a")),
        *(MemoryError(), ValueError("inside")),
    ):
        assert problem_of(error).body()["error"]["code"]


def test_what_is_missing_is_told_without_places_on_this_computer() -> None:
    error = PluginError("a.heic is a HEIC picture: save it as JPEG", "heic")
    assert problem_of(error).message == error.what and install_line("heic") in str(error)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/nothing", None, "not_found"),
        ("/health", b"{}", "method_not_allowed"),
        ("/v1/chat/completions", b"{", "invalid_json"),
        ("/v1/chat/completions", {}, "missing_value"),
        ("/v1/chat/completions", {"messages": [user(" ")]}, "missing_value"),
        ("/v1/embeddings", {"input": "a", "dimensions": 1}, "invalid_request"),
        ("/api/photo/x", None, "invalid_value"),
        ("/api/photo/1", None, "not_found"),
        ("/api/search", {"text": "a"}, "no_album"),
        ("/v1/models/gpt-9", None, "model_not_found"),
    ],
)
def test_every_refusal_has_a_code(served: Served, path: str, body: object, code: str) -> None:
    assert ask(served.url + path, body).json["error"]["code"] == code


def test_no_message_reads_a_picture_out(served: Served) -> None:
    url = data_url() + "A" * 23_000
    for path, body in (
        ("/v1/chat/completions", {"messages": [user("a", url[5:])]}),
        ("/v1/chat/completions", {"messages": [user("a")], url: 1}),
        ("/v1/chat/completions", {"messages": [user("a")], "model": url[:500]}),
        ("/v1/chat/completions", {"messages": [user("a")], "model": url}),
        ("/v1/chat/completions", {"messages": [user("a")], "stream": url}),
        ("/v1/chat/completions", {"messages": [{"role": url, "content": "a"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": url}]}]}),
        ("/v1/embeddings", {"input": "a", "encoding_format": url}),
        ("/api/search", {"text": url}),
    ):
        reply = ask(served.url + path, body)
        assert reply.status in (400, 404) and len(reply.json["error"]["message"]) < 300
    for error in (ImageError(f"no such picture: {url}"), OptionError(url)):
        assert len(problem_of(error).message) < 300
