"""Replies in a form on fakes: whole, or told not to be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from galago.errors import UnfinishedError
from galago.text.tokens import Tokenizer
from galago.vlm.forms import json_form
from galago.vlm.sampling import SamplingOptions
from tests.helpers.fakes import fake_vlm, fed_by, language
from tests.helpers.pictures import smooth

pytest.importorskip("llguidance")

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SAID = '{"name": "Ann"}'


def test_a_reply_is_json_and_ends_where_it_is_whole(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply=SAID + " and more")
    image = vlm.encode(smooth())
    plain = fed_by(vlm, lambda: vlm.ask(image, "Who?", SamplingOptions(max_tokens=1)))
    vlm = fake_vlm(tokenizer, reply=SAID + " and more")
    image = vlm.encode(smooth())
    chunks: list[object] = []
    tokens = len(tokenizer.encode(SAID))

    def ask() -> None:
        chunks.extend(vlm.stream(image, "Who?", SamplingOptions(max_tokens=tokens), schema=NAME))

    fed = fed_by(vlm, ask)
    assert "".join(chunk.text for chunk in chunks) == SAID  # type: ignore[attr-defined]
    last = chunks[-1]
    # whole at the last token that it may have, and the last one isn't fed for nothing
    assert last.finish == "end" and last.stats.tokens == tokens  # type: ignore[attr-defined]
    assert fed == plain + tokens - 1


def test_what_is_cut_is_no_json(tokenizer: Tokenizer) -> None:
    for options, why in (
        (SamplingOptions(max_tokens=5), "cut at 5 tokens"),
        (SamplingOptions(stop=("Ann",)), "stop string"),
    ):
        vlm = fake_vlm(tokenizer, reply=SAID)
        with pytest.raises(UnfinishedError, match=why) as caught:
            vlm.ask(smooth(), "Who?", options, schema=NAME)
        assert SAID.startswith(caught.value.text) and caught.value.text
    form = SamplingOptions(form=json_form(NAME))
    assert fake_vlm(tokenizer, reply=SAID).ask(smooth(), "Who?", form) == SAID


def test_sampling_stays_within_the_form(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    image = vlm.encode(smooth())
    short = {"type": "string", "maxLength": 8}
    schema = {**NAME, "properties": {"name": short}}
    drawn = SamplingOptions(temperature=1.5, top_p=0.9, min_p=0.01, repetition_penalty=1.3)
    said = {
        vlm.ask(image, "Who?", replace(drawn, seed=seed), schema=schema) for seed in (1, 1, 2, 3)
    }
    assert len(said) > 1 and all(len(json.loads(one)["name"]) <= 8 for one in said)
    again = vlm.ask(image, "Who?", replace(drawn, seed=1), schema=schema)
    assert again in said


def test_descriptions_are_told_to_the_model(tokenizer: Tokenizer) -> None:
    def length(schema: object) -> int:
        vlm = fake_vlm(tokenizer, reply=SAID)
        last = list(vlm.stream(smooth(), "Who?", schema=schema))[-1]  # type: ignore[arg-type]
        assert last.stats is not None and language(vlm).fed
        return last.stats.prompt_tokens

    told = {**NAME, "properties": {"name": {"type": "string", "description": "in full"}}}
    vlm = fake_vlm(tokenizer, reply=SAID)
    written = list(vlm.stream(smooth(), "Who?\nAnswer in JSON.\nname: in full"))[-1].stats
    assert written is not None
    assert length(told) == written.prompt_tokens > length(NAME)


def test_confidence_is_among_what_was_possible(tokenizer: Tokenizer) -> None:
    """A form that leaves no choice leaves no doubt."""
    vlm = fake_vlm(tokenizer)
    last = list(vlm.stream(smooth(), "Who?", schema={"const": "milk"}))[-1]
    assert last.stats is not None and last.stats.confidence == 1
    free = list(vlm.stream(smooth(), "Who?", SamplingOptions(max_tokens=6)))[-1]
    assert free.stats is not None and free.stats.confidence < 0.9
