"""Conversations on fakes: each turn fed once, and answered as if all of it were fed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from galago.errors import ModelError, OptionError
from galago.text.chat import ImageSlot
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.fakes import fake_vlm, fed_by, language, looks
from tests.helpers.pictures import smooth

SHORT = SamplingOptions(max_tokens=12)


def test_a_conversation_equals_feeding_it_all_again(tokenizer: Tokenizer) -> None:
    talk = fake_vlm(tokenizer, eager=3).chat(smooth(), SHORT)
    replies = [list(talk.say(text)) for text in ("What is it?", "Are you sure?", "Read it.")]
    # The same ids, fed at once to a model that has seen nothing.
    fresh = fake_vlm(tokenizer, eager=3)
    image = fresh.encode(smooth())
    before: list[Any] = []
    for text, chunks in zip(("What is it?", "Are you sure?", "Read it."), replies, strict=True):
        again = fresh.chat(image, SHORT)
        again._turns = list(before)
        fresh._speaker.pool.clear()
        assert [one.token_id for one in again.say(text)] == [one.token_id for one in chunks]
        before = again._turns
    assert [role for role, _ in talk.messages] == ["user", "assistant"] * 3
    assert talk.messages[1][1] == "".join(chunk.text for chunk in replies[0])


def test_a_conversation_feeds_each_turn_once(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(smooth())
    talk.ask("What is written on the note?")
    before = len(tokenizer.encode("And how many words are there?")) + len("milk")
    assert fed_by(vlm, lambda: talk.ask("And how many words are there?")) < before + 30
    assert len(looks(vlm)) == 1
    assert talk.messages[-1] == ("assistant", "milk and bread")


def test_a_conversation_after_a_stop_string(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(smooth(), SamplingOptions(stop=(" and",)))
    assert talk.ask("Read.") == "milk"
    assert talk._turns[-1][1] == tokenizer.encode("milk")
    assert talk.ask("Read.") == "milk"


def test_a_reply_closed_early_is_remembered_as_far_as_it_came(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(smooth())
    reply = talk.say("Read.")
    shown = next(reply).text
    with pytest.raises(OptionError, match="still coming"):
        next(talk.say("And?"))
    reply.close()  # type: ignore[attr-defined]
    assert talk.messages == [("user", "Read."), ("assistant", shown)]
    assert talk.ask("Again.") == "milk and bread"


def test_an_interrupted_reply_is_remembered_as_far_as_it_came(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(smooth())
    reply = talk.say("Read.")
    shown = next(reply).text
    with pytest.raises(KeyboardInterrupt):
        reply.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert talk.messages == [("user", "Read."), ("assistant", shown)]
    assert talk.ask("Again.") == "milk and bread"


def test_a_failed_reply_is_not_remembered(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    talk = vlm.chat(smooth(), SHORT)
    head = language(vlm).head.copy()
    language(vlm).head[:] = np.nan
    with pytest.raises(ModelError):
        talk.ask("What?")
    language(vlm).head[:] = head
    assert not talk.messages
    assert talk.ask("What?") == fake_vlm(tokenizer).chat(smooth(), SHORT).ask("What?")


def test_what_was_cut_as_a_repetition_was_not_said(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply=tokenizer.encode("milk") + tokenizer.encode("an") * 200)
    talk = vlm.chat(smooth())
    said = talk.ask("Read.")
    assert talk._turns[-1][1] == tokenizer.encode(said) and len(said) < 40


def positions(vlm: FastVLM, count: int) -> FastVLM:
    vlm._speaker.positions = count
    return vlm


def test_a_conversation_that_is_too_long_is_refused_before_anything_is_fed(
    tokenizer: Tokenizer,
) -> None:
    vlm = positions(fake_vlm(tokenizer, reply="milk and bread"), 100)
    talk = vlm.chat(smooth())
    talk.ask("What is it?")
    length = talk._length("Read. " * 40)
    fed = language(vlm).fed
    with pytest.raises(OptionError, match=f"{length} positions, and the model has 100"):
        talk.say("Read. " * 40)
    assert language(vlm).fed == fed and len(talk.messages) == 2
    assert talk.ask("Read.") == "milk and bread"


def test_the_oldest_turns_are_forgotten_the_pictures_are_not(tokenizer: Tokenizer) -> None:
    vlm = positions(fake_vlm(tokenizer, reply="milk and bread"), 220)
    talk = vlm.chat(smooth(), SamplingOptions(max_tokens=30))
    questions = [f"What is written on note {at}?" for at in range(12)]
    gone = []
    for question in questions:
        gone.append(talk.shorten(question))
        assert talk.ask(question) == "milk and bread"
        assert talk._length("") <= 220
        kept = [turn[0] for turn in talk._turns]
        assert kept == questions[: len(kept) + sum(gone)][sum(gone) :], "the oldest go first"
        pieces = talk._asked("And?")
        assert [one for one in pieces if isinstance(one, ImageSlot)] == [ImageSlot(0)]
        assert pieces.index(ImageSlot(0)) == 1, "it stands before the first that is left"
    assert sum(gone) > 1 and sum(map(bool, gone)) < sum(gone), "several at once"
    # What stays is answered as if it had never been longer.
    fresh = positions(fake_vlm(tokenizer), 220).chat(smooth(), SHORT)
    fresh._turns = list(talk._turns)
    babbling = positions(fake_vlm(tokenizer), 220).chat(smooth(), SHORT)
    babbling._turns = [("Long ago?", [5] * 150), *talk._turns]
    assert babbling.shorten("And?") >= 1 and babbling._turns
    fresh._turns = list(babbling._turns)
    assert babbling.ask("And?") == fresh.ask("And?")
    assert talk.shorten("x" * 2000) == len(kept) and not talk._turns
    with pytest.raises(OptionError, match="too long"):
        talk.ask("x" * 2000)
