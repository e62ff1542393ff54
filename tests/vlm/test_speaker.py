"""What is said on fakes: whatever is reused, the answer is the one a fresh model gives."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from galago.errors import ModelError, OptionError
from galago.text.chat import user_message
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.fakes import fake_vlm, fed_by, language, looks
from tests.helpers.pictures import smooth

SHORT = SamplingOptions(max_tokens=12)


@pytest.fixture
def vlm(tokenizer: Tokenizer) -> FastVLM:
    return fake_vlm(tokenizer)


# -- replies ---------------------------------------------------------------------------------------


def test_stream_and_ask_agree_and_the_last_chunk_has_statistics(vlm: FastVLM) -> None:
    chunks = list(vlm.stream(smooth(), "What is it?", SHORT))
    assert "".join(chunk.text for chunk in chunks) == vlm.ask(smooth(), "What is it?", SHORT)
    *tokens, last = chunks
    assert len(tokens) == 12 and all(one.token_id is not None and not one.stats for one in tokens)
    assert last.token_id is None and last.finish == "length" and last.stats is not None
    stats = last.stats
    assert stats.tokens == 12 and stats.image_tokens == 16 and stats.cached_tokens == 0
    assert stats.prompt_tokens > 16 and stats.vision > 0 and stats.prefill > 0
    assert stats.first_token >= stats.vision + stats.prefill
    assert stats.decode > 0 and stats.tokens_per_second > 0


def test_what_is_said_comes_out(tokenizer: Tokenizer) -> None:
    text = "milk, bread and 🥚 eggs – größer"
    vlm = fake_vlm(tokenizer, reply=text)
    chunks = list(vlm.stream(smooth(), "Read."))
    assert "".join(chunk.text for chunk in chunks) == text
    assert chunks[-1].finish == "end"


@pytest.mark.parametrize("stop", [("bread",), (", b", "zzz"), ("k, bread and", "eggs")])
def test_stop_means_stop(tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
    text = "milk, bread and eggs"
    vlm = fake_vlm(tokenizer, reply=text)
    chunks = list(vlm.stream(smooth(), "Read.", SamplingOptions(stop=stop)))
    shown = "".join(chunk.text for chunk in chunks)
    assert shown == text[: min(text.find(one) for one in stop if one in text)]
    assert chunks[-1].finish == "stop"


def test_a_stop_string_that_never_completes_is_shown(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="eggs and br")
    assert vlm.ask(smooth(), "Read.", SamplingOptions(stop=("bread",))) == "eggs and br"


def test_an_empty_reply(tokenizer: Tokenizer) -> None:
    chunks = list(fake_vlm(tokenizer, reply="").stream(smooth(), "Read."))
    assert chunks[0].text == "" and len(chunks) == 1 and chunks[0].finish == "end"
    stats = chunks[0].stats
    assert stats is not None and stats.tokens == 0 and stats.prefill > 0
    assert stats.tokens_per_second == 0 and stats.decode == 0


def test_no_tokens_at_all(vlm: FastVLM) -> None:
    chunks = list(vlm.stream(smooth(), "Read.", SamplingOptions(max_tokens=0)))
    assert [chunk.text for chunk in chunks] == [""] and chunks[0].finish == "length"
    assert chunks[0].stats is not None and chunks[0].stats.tokens == 0
    assert language(vlm).fed == 0


def test_half_a_character_at_the_limit(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("é")
    assert len(ids) == 2
    vlm = fake_vlm(tokenizer, reply=ids)
    assert vlm.ask(smooth(), "Read.", SamplingOptions(max_tokens=1)) == "\ufffd"
    assert vlm.ask(smooth(), "Read.", SamplingOptions(max_tokens=2)) == "é"


# -- what isn't whole ------------------------------------------------------------------------------


def test_a_reply_that_goes_round_in_circles_is_cut(tokenizer: Tokenizer) -> None:
    start, again = tokenizer.encode("milk and "), tokenizer.encode("bread ")
    vlm = fake_vlm(tokenizer, reply=start + again * 300)
    for options in (SamplingOptions(max_tokens=1000), SamplingOptions(1.0, seed=1, top_k=1)):
        chunks = list(vlm.stream(smooth(), "Read.", options))
        text = "".join(chunk.text for chunk in chunks)
        stats = chunks[-1].stats
        assert chunks[-1].finish == "repetition" and stats is not None
        assert 1 <= text.count("bread ") <= 12 and text.startswith("milk and bread ")
        assert 128 <= stats.tokens <= len(start) + 128
    whole = SamplingOptions(max_tokens=300, keep_repetition=True)
    chunks = list(vlm.stream(smooth(), "Read.", whole))
    assert chunks[-1].finish == "length" and len(chunks) == 301
    assert all(chunk.text for chunk in chunks[:20]), "nothing is held back"


def test_what_only_seemed_to_go_round_is_said_whole(tokenizer: Tokenizer) -> None:
    for text in ("0" * 60 + " is all", "bread " * 9 + "milk", "0" * 60):
        vlm = fake_vlm(tokenizer, reply=text)
        chunks = list(vlm.stream(smooth(), "Read."))
        assert "".join(chunk.text for chunk in chunks) == text and chunks[-1].finish == "end"
    vlm = fake_vlm(tokenizer, reply="0" * 60)
    assert vlm.ask(smooth(), "Read.", SamplingOptions(max_tokens=50)) == "0" * 50
    assert vlm.ask(smooth(), "Read.", SamplingOptions(stop=("0" * 30,))) == ""


def test_positions_that_run_out_end_the_reply(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    note = vlm.encode(smooth())
    length = vlm.prompt_length([user_message("What?", 1)], [note])
    vlm._speaker.positions = length + 5
    *_, last = vlm.stream(note, "What?", SHORT)
    assert last.finish == "length" and last.stats is not None and last.stats.tokens == 5
    vlm.score(note, "What?", ["!"])
    fed = language(vlm).fed
    with pytest.raises(OptionError, match=f"and the model has {length + 5} positions"):
        vlm.score(note, "What?", ["milk and bread and eggs"])
    vlm._speaker.positions = length
    for act in (vlm.stream, vlm.score):
        with pytest.raises(OptionError, match=f"{length} positions, and the model has {length}"):
            act(note, "What?", [])  # type: ignore[operator]
    with pytest.raises(OptionError, match="too long"):
        vlm.reply([user_message("What?", 1)], [note])
    assert language(vlm).fed == fed


def test_what_is_too_long_is_not_looked_at(vlm: FastVLM) -> None:
    vlm._speaker.positions = 100
    for pictures, prompt in ((smooth(), "Why? " * 200), ([smooth()] * 7, "Why?")):
        with pytest.raises(OptionError, match="and the model has 100 positions"):
            vlm.stream(pictures, prompt)
    with pytest.raises(OptionError, match="10000 characters"):
        vlm.ask(smooth(), "x" * 10_000)
    assert not looks(vlm)


def test_same_seed_same_text(vlm: FastVLM) -> None:
    drawn = SamplingOptions(temperature=1.0, top_p=0.9, seed=11, max_tokens=20)
    other = SamplingOptions(temperature=1.0, top_p=0.9, seed=12, max_tokens=20)
    note = vlm.encode(smooth())
    assert vlm.ask(note, "What?", drawn) == vlm.ask(note, "What?", drawn)
    assert vlm.ask(note, "What?", drawn) != vlm.ask(note, "What?", other)


def test_logits_that_are_no_numbers(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    language(vlm).head[:] = np.nan
    with pytest.raises(ModelError, match="fp32"):
        vlm.ask(smooth(), "What?")


# -- reuse -----------------------------------------------------------------------------------------


def test_a_second_question_looks_and_feeds_only_what_is_new(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    note = vlm.encode(smooth())
    first = vlm.ask(note, "What is written?", SHORT)
    assert len(looks(vlm)) == 1
    fed = fed_by(vlm, lambda: vlm.ask(note, "How many fingers?", SHORT))
    tail = len(tokenizer.encode("\nHow many fingers?")) + 8
    assert fed <= tail + SHORT.max_tokens
    assert len(looks(vlm)) == 1
    assert vlm.ask(note, "What is written?", SHORT) == first
    fresh = fake_vlm(tokenizer)
    assert vlm.ask(note, "Three?", SHORT) == fresh.ask(fresh.encode(smooth()), "Three?", SHORT)


def test_cached_equals_uncached_in_any_order(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, eager=2)
    notes = [vlm.encode(smooth(seed)) for seed in range(3)]
    questions = ["What is it?", "What is it? Say more.", "Read."]
    expected = {
        (at, question): fake_vlm(tokenizer, eager=2).ask(note, question, SHORT)
        for at, note in enumerate(notes)
        for question in questions
    }
    random = np.random.default_rng(9)
    for _ in range(40):
        at, question = int(random.integers(3)), questions[int(random.integers(3))]
        assert vlm.ask(notes[at], question, SHORT) == expected[at, question]


def test_two_streams_at_once(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    one, other = vlm.encode(smooth(1)), vlm.encode(smooth(2))
    alone = [list(vlm.stream(note, "What?", SHORT)) for note in (one, other)]
    streams = (vlm.stream(note, "What?", SHORT) for note in (one, other))
    both = list(zip(*streams, strict=True))
    for at in range(2):
        assert [pair[at].token_id for pair in both] == [chunk.token_id for chunk in alone[at]]


def test_a_closed_stream_leaves_a_good_cache(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    note = vlm.encode(smooth())
    stream = vlm.stream(note, "What?", SHORT)
    next(stream), next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert fed_by(vlm, lambda: vlm.ask(note, "What?", SamplingOptions(max_tokens=1))) == 1
    assert vlm.ask(note, "What?", SHORT) == fake_vlm(tokenizer).ask(note, "What?", SHORT)


def test_threads(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    expected = [fake_vlm(tokenizer).ask(smooth(seed), "What?", SHORT) for seed in range(4)]
    found: dict[int, list[str]] = {}

    def work(seed: int) -> None:
        found[seed] = [vlm.ask(smooth(seed), "What?", SHORT) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: [text] * 3 for seed, text in enumerate(expected)}


# -- scores ----------------------------------------------------------------------------------------


def brute_score(vlm: FastVLM, image: Image.Image, prompt: str, answer: str) -> float:
    """One position at a time, everything fed anew for each."""
    note = vlm.encode(image)
    pieces = vlm._question(prompt, [note])
    ids = [*vlm.tokenizer.encode(answer), vlm.tokenizer.token_id("<|im_end|>")]
    total = 0.0
    for at, one in enumerate(ids):
        embeds = vlm._speaker.embed([*pieces, ids[:at]], [note], 0)  # type: ignore[list-item]
        logits = vlm._speaker.language.new_cache().append(embeds).astype(np.float64)
        assert one is not None
        total += logits[one] - np.log(np.exp(logits).sum())
    return total


def test_scores_are_whole_answers_with_their_end(vlm: FastVLM) -> None:
    answers = ["yes", "no", "yes, it is a list", ""]
    found = vlm.score(smooth(), "Is this a list?", answers)
    expected = [brute_score(vlm, smooth(), "Is this a list?", answer) for answer in answers]
    assert np.allclose(found, expected) and all(one < 0 for one in found)
    assert vlm.score(smooth(), "Is this a list?", answers[::-1]) == found[::-1]
    assert vlm.score(smooth(), "Is this a list?", []) == []


def test_scores_look_once_and_feed_the_prompt_once(vlm: FastVLM) -> None:
    note = vlm.encode(smooth())
    vlm.score(note, "Is this a list?", ["yes"])
    assert fed_by(vlm, lambda: vlm.score(note, "Is this a list?", ["yes", "no"])) < 12
    assert len(looks(vlm)) == 1


def test_the_likely_answer_scores_best(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="yes")
    # The script says one token at a time, so compare answers of one token.
    first = tokenizer.encode("yes")[0]
    said = vlm.score(smooth(), "Is it?", [tokenizer.decode([first]), "!"])
    assert said[0] > said[1]


@pytest.mark.parametrize("answers", ["yes", [3], [None]])
def test_answers_must_be_texts(vlm: FastVLM, answers: Any) -> None:
    with pytest.raises(OptionError, match="answers"):
        vlm.score(smooth(), "Is it?", answers)
