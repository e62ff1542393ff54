"""What the tools of `galago mcp` answer an assistant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from galago.album import Checked, Found
from galago.cli.mcp import Tools
from galago.cli.options import Opening
from galago.errors import ImageError, OptionError
from galago.media.pool import PicturePool


def test_words_that_the_model_cannot_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An assistant can say them in English, and would take chance for an answer."""
    tools = Tools(Opening(), None, PicturePool(1))
    found = Found("a.jpg", 0.5, 2.0, True, ("b.jpg",), taken="2026-11-30 12:00:00", number=1)
    hits = Checked([found])
    asked: list[list[str]] = []
    guide = SimpleNamespace(model="nano", find=lambda words, **_: asked.append(words) or hits)
    desk: Any = SimpleNamespace(clip=SimpleNamespace(name="nano"), guide=lambda: guide)
    monkeypatch.setattr(tools, "_desk", lambda: desk)
    hit = {"path": "a.jpg", "taken": found.taken, "score": 0.5, "copies": 1}
    assert tools.search("a dog", 3) == [hit]
    assert tools.search("一只狗", 3) == [hit, {"searched_for": "a dog"}]
    part = tools.search("鬽狗", 3)
    assert part[1:] == [
        {"searched_for": "dog"},
        {"note": "not understood and left out of the query: “鬽”"},
    ]
    assert asked == [["a dog"], ["a dog"], ["dog"]]
    with pytest.raises(OptionError, match="nano reads English only.*say it in English"):
        tools.search("собака", 3)


def test_addresses_and_missing_files_are_told() -> None:
    tools = Tools(Opening(), None, PicturePool(1))
    for path, told in (("https://a.b/c.jpg", "download"), ("none.jpg", "no such picture")):
        with pytest.raises(ImageError, match=told):
            tools.describe(path, None)
