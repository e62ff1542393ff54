"""Who puts queries into English, and what is told when nobody can."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from galago.cli import interpret
from galago.cli.options import Opening
from galago.convert import choice, store
from galago.errors import CheckpointError
from galago.hub.choice import Candidate, Choice
from galago.text.queries import read
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import FastVLM
from tests.helpers.fakes import fake_vlm


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tokenizer: Tokenizer) -> list[str]:
    """A FastVLM that is ready and says "a red dress"; which models were opened."""
    opened: list[str] = []

    def load(name: str, **_: Any) -> FastVLM:
        opened.append(name)
        return fake_vlm(tokenizer, reply="a red dress")

    entry = SimpleNamespace(folder=tmp_path / "FastVLM-0.5B-abc-int8-f1")
    monkeypatch.setattr(FastVLM, "load", load)
    monkeypatch.setattr(store, "ready", lambda name, precision: entry)
    monkeypatch.setattr(choice, "converted", lambda _: [Candidate("apple/FastVLM-0.5B", 1)])
    return opened


def test_english_asks_for_nobody(monkeypatch: pytest.MonkeyPatch, here: list[str]) -> None:
    monkeypatch.setattr(interpret, "lookup_translator", lambda *_: pytest.fail("looked"))
    assert interpret.read_all(["a red dress"], "m", Opening())[0].text == "a red dress"
    assert not interpret.read_all(["红色连衣裙"], "m", Opening(), as_is=True)[0].understood
    assert here == []


def test_the_fastvlm_that_is_here_translates_and_is_opened_once(here: list[str]) -> None:
    for _ in range(2):
        queries = interpret.read_all(["红色连衣裙", "красное платье"], "m", Opening())
        assert [query.text for query in queries] == ["a red dress"] * 2
        assert not any(query.rough or query.notes for query in queries)
    assert here == ["apple/FastVLM-0.5B"] * 2  # once for each query; the second time from the cache


def test_the_embedded_model_was_never_taught_to(here: list[str]) -> None:
    assert interpret.lookup_translator(Opening("fastvlm-nano")) is None
    (query,) = interpret.read_all(["红色连衣裙"], "m", Opening("fastvlm-nano"))
    assert (query.text, query.rough, here) == ("red dress", True, [])


@pytest.mark.usefixtures("here")
def test_what_keeps_a_model_from_translating_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        (query,) = interpret.read_all(["红色连衣裙"], "m", Opening())
        assert query.text == "red dress" and query.rough  # word by word, then
        return query.notes[0]

    with monkeypatch.context() as patch:
        patch.setattr(choice, "converted", lambda _: [Candidate("apple/FastVLM-7B", 1 << 60)])
        assert told() == "apple/FastVLM-7B would not fit the free memory to translate the query"
    with monkeypatch.context() as patch:
        patch.setattr(store, "ready", lambda *_: None)
        assert told().endswith("isn't ready: galago pull apple/FastVLM-0.5B")
    with monkeypatch.context() as patch:
        patch.setattr(FastVLM, "load", _out_of_memory)
        assert told() == "apple/FastVLM-0.5B could not translate the query: out of memory"

    def damaged(*_: object, **__: object) -> Choice:
        raise CheckpointError("a tensor is missing")

    monkeypatch.setattr(choice, "choose_fastvlm", damaged)
    assert told() == "a tensor is missing"


def _out_of_memory(*_: object, **__: object) -> FastVLM:
    raise MemoryError


def test_a_model_that_is_open_translates_itself(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="a red dress")
    translate = interpret.loaded_translator(vlm)
    assert translate is not None and read("红色连衣裙", "m", translate).text == "a red dress"
    vlm.name = "fastvlm-nano"
    assert interpret.loaded_translator(vlm) is None


def test_what_is_searched_for_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    queries = [read(text, "m") for text in ("鬽红裙子", "鬽红裙子")]
    notes = interpret.tell(queries, "red\x1b[31m skirt")
    assert len(notes) == 1 and "“鬽”" in notes[0]
    said = capsys.readouterr().err
    assert said.startswith("searched for: red") and "word by word" in said and "\x1b" not in said


def test_a_real_one_is_asked_and_what_it_babbles_is_not_searched_for(
    ready: Path, clean_world: Path
) -> None:
    """The whole path, by the engine: a converted folder, of random weights."""
    (query,) = interpret.read_all(["红色连衣裙"], "m", Opening(str(ready)))
    assert query.text == "red dress" and query.rough
    (told,) = query.notes
    assert "translation" in told


def test_what_a_decoder_said_before_it_learnt_is_not_taken_for_its_own(
    tokenizer: Tokenizer, clean_world: Path
) -> None:
    said = {}
    for weights, reply in (("before", "red dress"), ("after", "blue dress")):
        vlm = fake_vlm(tokenizer, reply=reply)
        vlm.name, vlm.weights = "mine", weights  # and the same features
        translate = interpret.loaded_translator(vlm)
        assert translate is not None
        said[weights] = translate("红色连衣裙")
    assert said["before"] != said["after"]
