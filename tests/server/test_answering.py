"""Two models: the server's own, and the quick one for live pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from galago.errors import ModelError
from galago.vlm.fastvlm import FastVLM
from tests.helpers.fakes import fake_tokenizer, fake_vlm
from tests.helpers.serving import Served, ask, data_url, serving, user

CHAT = "/v1/chat/completions"


class Live:
    name = "quick"

    def __init__(self, vlm: FastVLM | None) -> None:
        self._vlm = vlm
        self.loads = 0

    def load(self) -> FastVLM:
        self.loads += 1
        if self._vlm is None:
            raise ModelError("the free memory doesn't hold quick any more")
        return self._vlm


def quick(folder: Path) -> FastVLM:
    vlm = fake_vlm(fake_tokenizer(folder / "tokenizer"), reply="three fingers")
    vlm.name = "quick"
    return vlm


def asked(served: Served, model: str) -> Any:
    return ask(served.url + CHAT, {"model": model, "messages": [user("what?", data_url())]})


def test_live_pictures_are_for_the_quick_model(folder: Path) -> None:
    live = Live(quick(folder))
    with serving(folder, parts={"live": live}) as served:
        page = ask(f"{served.url}/api/page").json
        assert (page["default"], page["live"]) == ("fake", "quick")
        assert [one["id"] for one in page["models"]] == ["fake", "quick", "fake"]
        names = [one["id"] for one in ask(f"{served.url}/v1/models").json["data"]]
        assert names[:2] == ["fake", "quick"] and ask(f"{served.url}/v1/models/quick").status == 200
        assert asked(served, "").json["model"] == "fake" and not live.loads
        for _ in range(2):
            answer = asked(served, "quick").json
            assert answer["model"] == "quick"
            assert answer["choices"][0]["message"]["content"] == "three fingers"
        assert live.loads == 1
        told = asked(served, "another").json["error"]["message"]
        assert "answers with fake or quick" in told


def test_one_that_cannot_be_opened_is_offered_no_more(folder: Path) -> None:
    live = Live(None)
    with serving(folder, parts={"live": live}) as served:
        reply = asked(served, "quick")
        assert reply.status == 503 and reply.json["error"]["code"] == "model_closed"
        assert "the free memory" in reply.json["error"]["message"]
        assert ask(f"{served.url}/api/page").json["live"] is None
        assert asked(served, "quick").status == 404 and live.loads == 1
        assert asked(served, "").status == 200


def test_without_a_second_one_nothing_changes(served: Served) -> None:
    page = ask(f"{served.url}/api/page").json
    assert page["live"] is None and len(page["models"]) == 2
    assert "answers with fake" in asked(served, "other").json["error"]["message"]


@pytest.mark.parametrize("model", ["fake", "quick"])
def test_each_model_looks_at_its_own_pictures(folder: Path, model: str) -> None:
    """Features of one are nothing to the other."""
    other = quick(folder)
    with serving(folder, parts={"live": Live(other)}) as served:
        for one in ("fake", "quick", model):
            assert asked(served, one).status == 200
        assert len(served.vision.calls) == 1
        assert len(other._vision.calls) == 1  # type: ignore[attr-defined]
