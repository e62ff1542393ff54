"""What `galago mcp` tells an assistant, without the package that speaks the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.cli.mcp import Tools
from galago.cli.options import Opening
from galago.media.pool import PicturePool
from galago.text.tokens import Tokenizer
from tests.helpers.fakes import fake_vlm


def tools(monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer, reply: list[int]) -> Tools:
    made = Tools(Opening(), None, PicturePool(1))
    monkeypatch.setattr(made, "_vlm", lambda: fake_vlm(tokenizer, reply=reply))
    return made


def test_an_answer_that_is_not_whole_says_so(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer, picture: Path
) -> None:
    long = [one % 200 for one in range(300)]
    said = tools(monkeypatch, tokenizer, long).describe(str(picture), "What?")
    assert said.endswith("\n\n(the answer was cut at 256 tokens)")
    said = tools(monkeypatch, tokenizer, tokenizer.encode("an") * 300).describe(str(picture), None)
    assert said.endswith("\n\n(the answer went round in circles and was cut)") and len(said) < 99
    whole = tokenizer.encode("milk and bread")
    assert tools(monkeypatch, tokenizer, whole).describe(str(picture), None) == "milk and bread"
