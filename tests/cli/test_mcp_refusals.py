"""What the tools of `galago mcp` answer an assistant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from galago.cli.mcp import Tools
from galago.cli.options import Opening
from galago.errors import ImageError, OptionError


def test_words_that_the_model_cannot_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An assistant can say them in English, and would take chance for an answer."""
    tools = Tools(Opening(), None)
    hits = [SimpleNamespace(path="a.jpg", score=0.5, match=True)]
    guide = SimpleNamespace(find=lambda *_, **__: hits)
    desk: Any = SimpleNamespace(clip=SimpleNamespace(name="nano"), guide=lambda: guide)
    monkeypatch.setattr(tools, "_desk", lambda: desk)
    assert tools.search("a dog", 3) == [{"path": "a.jpg", "score": 0.5}]
    with pytest.raises(OptionError, match="nano reads English only.*say it in English"):
        tools.search("一只狗", 3)


def test_addresses_and_missing_files_are_told() -> None:
    tools = Tools(Opening(), None)
    for path, told in (("https://a.b/c.jpg", "download"), ("none.jpg", "no such picture")):
        with pytest.raises(ImageError, match=told):
            tools.describe(path, None)
