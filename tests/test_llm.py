"""The plug-in of the `llm` command, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

llm = pytest.importorskip("llm", reason="needs the llm command")

from galago.llm import Galago  # noqa: E402
from tests.fakes import fake_tokenizer, fake_vlm  # noqa: E402
from tests.serving import data_url  # noqa: E402


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plug-in's model on fakes; `asked` keeps the conversations that it was asked."""
    vlm = fake_vlm(fake_tokenizer(tmp_path), reply="yes")
    asked: list[Any] = []
    reply = vlm.reply

    def noted(messages: Any, *more: Any) -> Any:
        asked.append(messages)
        return reply(messages, *more)

    monkeypatch.setattr(vlm, "reply", noted)
    one = Galago()
    monkeypatch.setattr(one, "_vlm", lambda _: vlm)
    monkeypatch.setattr(one, "asked", asked, raising=False)
    return one


def test_a_conversation_keeps_its_turns_pictures_and_instructions(
    model: Any, tmp_path: Path
) -> None:
    import base64

    picture = llm.Attachment(type="image/png", content=base64.b64decode(data_url().split(",")[1]))
    talk = model.conversation()
    assert talk.prompt("What?", system="Be brief.", attachments=[picture]).text() == "yes"
    assert talk.prompt("And?").text() == "yes"
    assert talk.prompt("So?", system="Be long.").text() == "yes"
    roles = [[one.role for one in messages] for messages in model.asked]
    turns = ["user", "assistant"]
    assert roles == [["system", *turns * n, "user"] for n in range(3)]
    told = [messages[0].content for messages in model.asked]
    assert told == [("Be brief.",), ("Be brief.",), ("Be long.",)]


def test_what_galago_refuses_is_llms_error(model: Any) -> None:
    torn = llm.Attachment(type="image/png", content=b"no picture")
    with pytest.raises(llm.ModelError, match="picture"):
        model.prompt("What?", attachments=[torn]).text()
