"""Who may touch this computer's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.serving import Served, ask, serving


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({}, True),
        ({"Host": "localhost:8000"}, True),
        ({"Host": "[::1]:8000"}, True),
        ({"X-Forwarded-For": "203.0.113.9"}, False),
        ({"X-Forwarded-For": "127.0.0.1"}, False),
        ({"Forwarded": "for=203.0.113.9"}, False),
        ({"Via": "1.1 proxy"}, False),
    ],
)
def test_behind_a_proxy_nobody_sits_at_this_computer(
    served: Served, headers: dict[str, str], may: bool
) -> None:
    state = ask(f"{served.url}/api/index", **headers)
    assert state.status == 200 and (state.json["refusal"] is None) is may
    for path, body in (("/api/folders", {"path": "~"}), ("/api/index", {"folder": "~"})):
        reply = ask(served.url + path, body, **headers)
        assert (reply.status != 403) is may
        assert may or reply.json["error"]["code"] == "not_at_home"
    assert (ask(f"{served.url}/api/index", None, "DELETE", **headers).status != 403) is may


def test_another_name_of_the_server_is_not_this_computer(folder: Path) -> None:
    with serving(folder, hosts=("photos.example",)) as served:
        reply = ask(f"{served.url}/api/folders", {"path": "~"}, Host="photos.example")
        assert reply.status == 403 and "--api-key" in reply.json["error"]["message"]


def test_who_has_the_key_may_from_anywhere(folder: Path) -> None:
    key = {"Authorization": "Bearer k", "X-Forwarded-For": "203.0.113.9"}
    with serving(folder, api_key="k") as served:
        assert ask(f"{served.url}/api/folders", {"path": "~"}, **key).status == 200
        assert ask(f"{served.url}/api/index", **key).json["refusal"] is None
        for wrong in ({}, {"Authorization": "Bearer l"}):
            assert ask(f"{served.url}/api/folders", {"path": "~"}, **wrong).status == 401
            assert ask(f"{served.url}/api/index", {"folder": "~"}, **wrong).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null", "Content-Type": "application/x-www-form-urlencoded"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_begins_nothing(served: Served, headers: dict[str, str]) -> None:
    for path in ("/api/index", "/api/folders", "/api/duplicates"):
        reply = ask(served.url + path, b'{"folder": "~"}', **headers)
        assert reply.status == 403 and "another page" in reply.json["error"]["message"]
    assert ask(f"{served.url}/api/index", None, "DELETE", **headers).status == 403
    assert ask(f"{served.url}/api/index", **headers).status == 403
