"""The plug-in of the `llm` command, in this process."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

llm = pytest.importorskip("llm", reason="needs the llm command")

from galago.llm import Galago  # noqa: E402
from galago.text.chat import ImageSlot  # noqa: E402
from tests.helpers.fakes import fake_tokenizer, fake_vlm  # noqa: E402
from tests.helpers.serving import data_url  # noqa: E402


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


def picture() -> Any:
    return llm.Attachment(type="image/png", content=base64.b64decode(data_url().split(",")[1]))


def pictures_of(messages: Any) -> list[list[int]]:
    """The numbers of the pictures that each message shows."""
    return [[p.index for p in one.content if isinstance(p, ImageSlot)] for one in messages]


def test_a_conversation_keeps_its_turns_pictures_and_instructions(model: Any) -> None:
    talk = model.conversation()
    assert talk.prompt("What?", system="Be brief.", attachments=[picture()]).text() == "yes"
    assert talk.prompt("And?").text() == "yes"
    assert talk.prompt("So?", system="Be long.").text() == "yes"
    roles = [[one.role for one in messages] for messages in model.asked]
    turns = ["user", "assistant"]
    assert roles == [["system", *turns * n, "user"] for n in range(3)]
    told = [messages[0].content for messages in model.asked]
    assert told == [("Be brief.",), ("Be brief.",), ("Be long.",)]
    assert [pictures_of(messages)[1] for messages in model.asked] == [[0]] * 3


needs_chain = pytest.mark.skipif(
    not hasattr(llm.models.Prompt, "messages"), reason="an older llm, which has no chain"
)


@needs_chain
def test_a_reply_knows_the_picture_and_what_was_said(model: Any) -> None:
    first = model.prompt("What?", system="Be brief.", attachments=[picture()])
    second = first.reply("And?")
    assert second.text() == "yes"
    second.reply("And this?", attachments=[picture()]).text()
    messages = model.asked[-1]
    assert [one.role for one in messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert pictures_of(messages) == [[], [0], [], [], [], [1]]
    assert [one.content[-1] for one in messages[2:5]] == ["yes", "And?", "yes"]


@needs_chain
def test_a_conversation_that_llm_kept_goes_on(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `llm -c` does it, by llm's own log."""
    import sqlite_utils
    from llm.cli import load_conversation
    from llm.migrations import migrate

    monkeypatch.setattr(llm.models, "get_model", lambda _: model, raising=False)
    monkeypatch.setattr(llm, "get_model", lambda _: model)
    log = tmp_path / "logs.db"
    talk = model.conversation()
    said = talk.prompt("What?", system="Be brief.", attachments=[picture()])
    said.text()
    db = sqlite_utils.Database(log)
    migrate(db)
    said.log_to_db(db)
    again = load_conversation(None, database=str(log))
    assert again.prompt("And?").text() == "yes"
    messages = model.asked[-1]
    assert [one.role for one in messages] == ["system", "user", "assistant", "user"]
    assert pictures_of(messages) == [[], [0], [], []] and messages[0].content == ("Be brief.",)
    assert messages[1].content[-1] == "What?" and messages[3].content == ("And?",)


def test_an_older_llm_tells_of_the_conversation_alone(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hasattr(llm.models.Prompt, "messages"):
        monkeypatch.setattr("galago.llm._told_whole", lambda _: [])
    talk = model.conversation()
    talk.prompt("What?", attachments=[picture()]).text()
    talk.prompt("And?").text()
    assert [one.role for one in model.asked[-1]] == ["user", "assistant", "user"]
    assert pictures_of(model.asked[-1]) == [[0], [], []]


def test_an_answer_that_was_cut_is_warned_about(model: Any) -> None:
    response = model.prompt("What?", max_tokens=1)
    with pytest.warns(UserWarning, match="cut at 1 token"):
        assert response.text() != "yes"
    assert response.response_json == {"finish": "length"}


def test_what_a_terminal_would_obey_is_written_out(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = model._vlm("any")
    chunks = [SimpleNamespace(text="a\x1b]0;b\x07\n", stats=None)]
    monkeypatch.setattr(vlm, "reply", lambda *_: iter(chunks))
    assert model.prompt("What?").text() == "a\\x1b]0;b\\x07\n"


def test_what_galago_refuses_is_llms_error(model: Any) -> None:
    torn = llm.Attachment(type="image/png", content=b"no picture")
    with pytest.raises(llm.ModelError, match="picture"):
        model.prompt("What?", attachments=[torn]).text()
