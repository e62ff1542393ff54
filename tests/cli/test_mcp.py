"""What `galago mcp` tells an assistant, without the package that speaks the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.cli.mcp import Tools
from galago.cli.options import Opening
from galago.errors import OptionError
from galago.media.pool import PicturePool
from galago.places import albums_dir
from galago.text.tokens import Tokenizer
from tests.helpers.albums import say
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


@pytest.mark.usefixtures("models")
def test_an_assistant_searches_by_folder_date_and_text(
    capsys: pytest.CaptureFixture[str], indexed: Path
) -> None:
    say(albums_dir() / "default", "blue", "3", "Rechnung über Farbe")
    asked = Tools(Opening(), None, PicturePool(1))
    blue = asked.search("a blue thing", 99, folder=str(indexed / "blue"))
    assert len(blue) == 15 and all(one["score"] and "/blue/" in one["path"] for one in blue)
    (read,) = asked.search("Rechnung", 12, text_only=True)
    assert read["text"] == "Rechnung über Farbe" and read["text_kind"] == "read"
    listed = asked.search("", 4, since="yesterday")
    assert len(listed) == 4 and all("score" not in one and one["taken"] for one in listed)
    for query in ({}, {"text_only": True, "since": "2025"}):
        with pytest.raises(OptionError, match="say what to look for"):
            asked.search(" ", 12, **query)  # type: ignore[arg-type]
