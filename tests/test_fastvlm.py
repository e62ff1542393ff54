"""FastVLM on fakes: whatever is reused, the answer is the one a fresh model gives."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import galago
from galago.errors import ImageError, ModelError, OptionError
from galago.text.presets import PRESETS, preset_prompt
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import Chunk, FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.fakes import FakeLanguage, FakeVision, fake_spec, fake_tokenizer, fake_vlm
from tests.test_images import png_header

SHORT = SamplingOptions(max_tokens=12)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def vlm(tokenizer: Tokenizer) -> FastVLM:
    return fake_vlm(tokenizer)


def picture(seed: int = 0, size: tuple[int, int] = (300, 200)) -> Image.Image:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def language(vlm: FastVLM) -> FakeLanguage:
    assert isinstance(vlm._speaker.language, FakeLanguage)
    return vlm._speaker.language


def looks(vlm: FastVLM) -> list[tuple[int, ...]]:
    assert isinstance(vlm._vision, FakeVision)
    return vlm._vision.calls


def fed_by(vlm: FastVLM, question: Any) -> int:
    before = language(vlm).fed
    question()
    return language(vlm).fed - before


# -- pictures --------------------------------------------------------------------------------------


def test_an_encoded_image_is_a_value(vlm: FastVLM, tmp_path: Path) -> None:
    note = vlm.encode(picture())
    assert note.features.shape == (16, 16) and note.features.dtype == np.float32
    assert note.size == (300, 200) and note.resolution == 256 and note.model == "fake"
    assert note.seconds > 0
    with pytest.raises(ValueError, match="read-only"):
        note.features[0] = 1
    with pytest.raises(AttributeError):
        note.size = (1, 1)  # type: ignore[misc]
    path = tmp_path / "note.png"
    picture().save(path)
    same = [vlm.encode(one) for one in (path, path.read_bytes(), np.asarray(picture()), note)]
    assert all(one == note and hash(one) == hash(note) for one in same)
    assert vlm.encode(picture(1)) != note


def test_encoding_batch_equals_single(vlm: FastVLM) -> None:
    pixels = np.random.default_rng(0).random((2, 3, 256, 256)).astype(np.float32)
    both = vlm._vision.encode(pixels)
    assert np.array_equal(both[1], vlm._vision.encode(pixels[1:])[0])


@pytest.mark.parametrize("resolution", [256, 512, 1536])
def test_resolutions(vlm: FastVLM, tokenizer: Tokenizer, resolution: int) -> None:
    note = vlm.encode(picture(), resolution)
    assert len(note.features) == (resolution // 64) ** 2 and note.resolution == resolution
    spec = fake_spec(tokenizer.vocab_size)
    other = FastVLM(FakeVision(), language(vlm), tokenizer, spec, resolution=resolution)
    assert other.resolution == resolution and other.encode(picture()) == note


def test_a_resolution_by_content(vlm: FastVLM, tokenizer: Tokenizer) -> None:
    """Of a model of 1024 px: a picture of 300 x 200 needs 512, one that is asked for stays."""
    spec = fake_spec(tokenizer.vocab_size)
    spec = replace(spec, image=replace(spec.image, side=1024))
    auto = FastVLM(FakeVision(), language(vlm), tokenizer, spec, resolution="auto")
    small = auto.encode(picture())
    assert small.resolution == 512 and len(small.features) == 64
    assert auto.encode(picture(), 1024).resolution == 1024
    assert auto.resolution == 1024
    *_, last = auto.stream([small, auto.encode(picture(1), 256)], "what?")
    assert last.stats is not None and last.stats.resolution == 512


@pytest.mark.parametrize("resolution", [0, 100, 192, 1600, -256, 512.0, "512", True])
def test_impossible_resolutions(vlm: FastVLM, tokenizer: Tokenizer, resolution: Any) -> None:
    with pytest.raises(OptionError, match="resolution"):
        vlm.encode(picture(), resolution)
    with pytest.raises(OptionError, match="resolution"):
        FastVLM(FakeVision(), language(vlm), tokenizer, vlm.spec, resolution=resolution)


def test_an_encoded_image_of_another_model_or_side(tokenizer: Tokenizer, vlm: FastVLM) -> None:
    spec = fake_spec(tokenizer.vocab_size)
    other = FastVLM(FakeVision(), language(vlm), tokenizer, spec, name="other")
    note = other.encode(picture())
    with pytest.raises(OptionError, match="encoded by other"):
        vlm.ask(note, "What?")
    with pytest.raises(OptionError, match="512"):
        other.encode(note, 512)
    assert other.encode(note, 256) is note


def bad_pictures() -> dict[str, bytes]:
    def saved(kind: str) -> bytes:
        stream = io.BytesIO()
        picture(size=(400, 300)).save(stream, kind)
        return stream.getvalue()

    return {
        "empty.jpg": b"",
        "text.jpg": b"just some words, no picture at all\n" * 9,
        "cut.jpg": saved("JPEG")[:900],
        "cut.png": saved("PNG")[:4000],
        "cut.webp": saved("WEBP")[:300],
        "bomb.png": png_header(30_000, 30_000),
    }


@pytest.mark.parametrize("name", list(bad_pictures()))
def test_bad_pictures_are_one_clear_line(vlm: FastVLM, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bad_pictures()[name])
    for act in (vlm.encode, lambda one: vlm.ask(one, "What?"), vlm.chat):
        with pytest.raises(ImageError) as caught:
            act(path)  # type: ignore[operator]
        assert name in str(caught.value) and "\n" not in str(caught.value)
    assert not looks(vlm)


def test_a_missing_picture_and_a_folder(vlm: FastVLM, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such picture"):
        vlm.encode(tmp_path / "none.png")
    with pytest.raises(ImageError, match="folder"):
        vlm.encode(tmp_path)


@pytest.mark.parametrize(
    "image",
    [
        picture(size=(1, 1)),
        picture(size=(20000, 3)),
        picture().convert("CMYK"),
        picture().convert("P"),
        picture().convert("LA"),
        Image.fromarray(np.full((9, 9), 40000, np.uint16)),
    ],
    ids=["1x1", "20000x3", "cmyk", "palette", "grey with alpha", "16-bit"],
)
def test_odd_pictures_are_fine(vlm: FastVLM, image: Image.Image) -> None:
    note = vlm.encode(image)
    assert note.size == image.size and np.isfinite(note.features).all()


# -- replies ---------------------------------------------------------------------------------------


def test_stream_and_ask_agree_and_the_last_chunk_has_statistics(vlm: FastVLM) -> None:
    chunks = list(vlm.stream(picture(), "What is it?", SHORT))
    assert "".join(chunk.text for chunk in chunks) == vlm.ask(picture(), "What is it?", SHORT)
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
    chunks = list(vlm.stream(picture(), "Read."))
    assert "".join(chunk.text for chunk in chunks) == text
    assert chunks[-1].finish == "end"


@pytest.mark.parametrize("stop", [("bread",), (", b", "zzz"), ("k, bread and", "eggs")])
def test_stop_means_stop(tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
    text = "milk, bread and eggs"
    vlm = fake_vlm(tokenizer, reply=text)
    chunks = list(vlm.stream(picture(), "Read.", SamplingOptions(stop=stop)))
    shown = "".join(chunk.text for chunk in chunks)
    assert shown == text[: min(text.find(one) for one in stop if one in text)]
    assert chunks[-1].finish == "stop"


def test_a_stop_string_that_never_completes_is_shown(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="eggs and br")
    assert vlm.ask(picture(), "Read.", SamplingOptions(stop=("bread",))) == "eggs and br"


def test_an_empty_reply(tokenizer: Tokenizer) -> None:
    chunks = list(fake_vlm(tokenizer, reply="").stream(picture(), "Read."))
    assert chunks[0].text == "" and len(chunks) == 1 and chunks[0].finish == "end"
    stats = chunks[0].stats
    assert stats is not None and stats.tokens == 0 and stats.prefill > 0
    assert stats.tokens_per_second == 0 and stats.decode == 0


def test_no_tokens_at_all(vlm: FastVLM) -> None:
    chunks = list(vlm.stream(picture(), "Read.", SamplingOptions(max_tokens=0)))
    assert [chunk.text for chunk in chunks] == [""] and chunks[0].finish == "length"
    assert chunks[0].stats is not None and chunks[0].stats.tokens == 0
    assert language(vlm).fed == 0


def test_half_a_character_at_the_limit(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("é")
    assert len(ids) == 2
    vlm = fake_vlm(tokenizer, reply=ids)
    assert vlm.ask(picture(), "Read.", SamplingOptions(max_tokens=1)) == "\ufffd"
    assert vlm.ask(picture(), "Read.", SamplingOptions(max_tokens=2)) == "é"


def test_same_seed_same_text(vlm: FastVLM) -> None:
    drawn = SamplingOptions(temperature=1.0, top_p=0.9, seed=11, max_tokens=20)
    other = SamplingOptions(temperature=1.0, top_p=0.9, seed=12, max_tokens=20)
    note = vlm.encode(picture())
    assert vlm.ask(note, "What?", drawn) == vlm.ask(note, "What?", drawn)
    assert vlm.ask(note, "What?", drawn) != vlm.ask(note, "What?", other)


@pytest.mark.parametrize("prompt", ["", "  \n", None, 3])
def test_empty_questions_are_refused_at_once(vlm: FastVLM, prompt: Any) -> None:
    for act in (vlm.stream, vlm.ask, lambda one, text: vlm.chat(one).say(text)):
        with pytest.raises(OptionError, match="question"):
            act(picture(), prompt)  # type: ignore[operator]


def test_a_question_about_the_image_marker(vlm: FastVLM, tokenizer: Tokenizer) -> None:
    question = "what does <image> or <|im_end|> mean?"
    pieces = vlm._question(question, [vlm.encode(picture())])
    assert len(pieces) == 3 and question in tokenizer.decode(pieces[2])  # type: ignore[arg-type]
    assert vlm.ask(picture(), question, SHORT)


def test_logits_that_are_no_numbers(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    language(vlm).head[:] = np.nan
    with pytest.raises(ModelError, match="fp32"):
        vlm.ask(picture(), "What?")


# -- reuse -----------------------------------------------------------------------------------------


def test_a_second_question_looks_and_feeds_only_what_is_new(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    note = vlm.encode(picture())
    first = vlm.ask(note, "What is written?", SHORT)
    assert len(looks(vlm)) == 1
    fed = fed_by(vlm, lambda: vlm.ask(note, "How many fingers?", SHORT))
    tail = len(tokenizer.encode("\nHow many fingers?")) + 8
    assert fed <= tail + SHORT.max_tokens
    assert len(looks(vlm)) == 1
    assert vlm.ask(note, "What is written?", SHORT) == first
    fresh = fake_vlm(tokenizer)
    assert vlm.ask(note, "Three?", SHORT) == fresh.ask(fresh.encode(picture()), "Three?", SHORT)


def test_cached_equals_uncached_in_any_order(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, eager=2)
    notes = [vlm.encode(picture(seed)) for seed in range(3)]
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
    one, other = vlm.encode(picture(1)), vlm.encode(picture(2))
    alone = [list(vlm.stream(note, "What?", SHORT)) for note in (one, other)]
    streams = (vlm.stream(note, "What?", SHORT) for note in (one, other))
    both = list(zip(*streams, strict=True))
    for at in range(2):
        assert [pair[at].token_id for pair in both] == [chunk.token_id for chunk in alone[at]]


def test_a_closed_stream_leaves_a_good_cache(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    note = vlm.encode(picture())
    stream = vlm.stream(note, "What?", SHORT)
    next(stream), next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert fed_by(vlm, lambda: vlm.ask(note, "What?", SamplingOptions(max_tokens=1))) == 1
    assert vlm.ask(note, "What?", SHORT) == fake_vlm(tokenizer).ask(note, "What?", SHORT)


def test_threads(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    expected = [fake_vlm(tokenizer).ask(picture(seed), "What?", SHORT) for seed in range(4)]
    found: dict[int, list[str]] = {}

    def work(seed: int) -> None:
        found[seed] = [vlm.ask(picture(seed), "What?", SHORT) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: [text] * 3 for seed, text in enumerate(expected)}


def test_several_pictures(vlm: FastVLM, tokenizer: Tokenizer) -> None:
    one, other = vlm.encode(picture(1)), vlm.encode(picture(2), 512)
    chunks = list(vlm.stream([one, other], "Which is larger?", SHORT))
    assert chunks[-1].stats is not None and chunks[-1].stats.image_tokens == 16 + 64
    text = "".join(chunk.text for chunk in chunks)
    assert text != vlm.ask([other, one], "Which is larger?", SHORT)
    assert text == fake_vlm(tokenizer).ask([one, other], "Which is larger?", SHORT)
    assert vlm.ask([], "Hello?", SHORT)  # no picture at all is a question too


# -- conversations ---------------------------------------------------------------------------------


def test_a_conversation_equals_feeding_it_all_again(tokenizer: Tokenizer) -> None:
    talk = fake_vlm(tokenizer, eager=3).chat(picture(), SHORT)
    replies = [list(talk.say(text)) for text in ("What is it?", "Are you sure?", "Read it.")]
    # The same ids, fed at once to a model that has seen nothing.
    fresh = fake_vlm(tokenizer, eager=3)
    image = fresh.encode(picture())
    before: list[Any] = []
    for text, chunks in zip(("What is it?", "Are you sure?", "Read it."), replies, strict=True):
        again = fresh.chat(image, SHORT)
        again._pieces = list(before)
        fresh._speaker.pool.clear()
        assert [one.token_id for one in again.say(text)] == [one.token_id for one in chunks]
        before = again._pieces
    assert [role for role, _ in talk.messages] == ["user", "assistant"] * 3
    assert talk.messages[1][1] == "".join(chunk.text for chunk in replies[0])


def test_a_conversation_feeds_each_turn_once(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(picture())
    talk.ask("What is written on the note?")
    before = len(tokenizer.encode("And how many words are there?")) + len("milk")
    assert fed_by(vlm, lambda: talk.ask("And how many words are there?")) < before + 30
    assert len(looks(vlm)) == 1
    assert talk.messages[-1] == ("assistant", "milk and bread")


def test_a_conversation_after_a_stop_string(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(picture(), SamplingOptions(stop=(" and",)))
    assert talk.ask("Read.") == "milk"
    assert talk._pieces[-1] == tokenizer.encode("milk")
    assert talk.ask("Read.") == "milk"


def test_a_reply_closed_early_is_remembered_as_far_as_it_came(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(picture())
    reply = talk.say("Read.")
    shown = next(reply).text
    with pytest.raises(OptionError, match="still coming"):
        next(talk.say("And?"))
    reply.close()  # type: ignore[attr-defined]
    assert talk.messages == [("user", "Read."), ("assistant", shown)]
    assert talk.ask("Again.") == "milk and bread"


def test_an_interrupted_reply_is_remembered_as_far_as_it_came(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk and bread")
    talk = vlm.chat(picture())
    reply = talk.say("Read.")
    shown = next(reply).text
    with pytest.raises(KeyboardInterrupt):
        reply.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert talk.messages == [("user", "Read."), ("assistant", shown)]
    assert talk.ask("Again.") == "milk and bread"


def test_a_failed_reply_is_not_remembered(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    talk = vlm.chat(picture(), SHORT)
    head = language(vlm).head.copy()
    language(vlm).head[:] = np.nan
    with pytest.raises(ModelError):
        talk.ask("What?")
    language(vlm).head[:] = head
    assert not talk.messages
    assert talk.ask("What?") == fake_vlm(tokenizer).chat(picture(), SHORT).ask("What?")


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
    found = vlm.score(picture(), "Is this a list?", answers)
    expected = [brute_score(vlm, picture(), "Is this a list?", answer) for answer in answers]
    assert np.allclose(found, expected) and all(one < 0 for one in found)
    assert vlm.score(picture(), "Is this a list?", answers[::-1]) == found[::-1]
    assert vlm.score(picture(), "Is this a list?", []) == []


def test_scores_look_once_and_feed_the_prompt_once(vlm: FastVLM) -> None:
    note = vlm.encode(picture())
    vlm.score(note, "Is this a list?", ["yes"])
    assert fed_by(vlm, lambda: vlm.score(note, "Is this a list?", ["yes", "no"])) < 12
    assert len(looks(vlm)) == 1


def test_the_likely_answer_scores_best(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="yes")
    # The script says one token at a time, so compare answers of one token.
    first = tokenizer.encode("yes")[0]
    said = vlm.score(picture(), "Is it?", [tokenizer.decode([first]), "!"])
    assert said[0] > said[1]


@pytest.mark.parametrize("answers", ["yes", [3], [None]])
def test_answers_must_be_texts(vlm: FastVLM, answers: Any) -> None:
    with pytest.raises(OptionError, match="answers"):
        vlm.score(picture(), "Is it?", answers)


# -- names -----------------------------------------------------------------------------------------


def test_public_names() -> None:
    for name in galago.__all__:
        assert getattr(galago, name) is not None
    assert set(galago.__all__) <= set(dir(galago))
    with pytest.raises(AttributeError, match="nothing_here"):
        galago.nothing_here  # noqa: B018
    assert galago.FastVLM is FastVLM and galago.Chunk is Chunk


def test_presets() -> None:
    assert set(PRESETS) == {"describe", "brief", "read", "count", "expression", "translate"}
    assert preset_prompt("read") == PRESETS["read"]
    assert preset_prompt("translate") == "Translate the text in this image into English."
    assert preset_prompt("translate", to=" German ").endswith("into German.")
    with pytest.raises(OptionError, match="describe, brief"):
        preset_prompt("poem")
    with pytest.raises(OptionError, match="language"):
        preset_prompt("translate", to=" ")


def test_a_conversation_told_anew_is_answered_like_one_that_went_on(tokenizer: Tokenizer) -> None:
    from galago.text.chat import Message, user_message

    vlm = fake_vlm(tokenizer)
    image = vlm.encode(Image.new("RGB", (90, 70), "green"))
    options = SamplingOptions(max_tokens=6)
    first = list(vlm.reply([user_message("What?", 1)], [image], options))
    assert [c.text for c in first] == [c.text for c in vlm.stream(image, "What?", options)]
    said = Message("assistant", ("".join(chunk.text for chunk in first),))
    told = [user_message("What?", 1), said, user_message("And?", 0)]
    chunks = list(vlm.reply(told, [image], options))
    assert chunks[-1].stats is not None
    assert chunks[-1].stats.prompt_tokens == vlm.prompt_length(told, [image])
    with pytest.raises(OptionError, match="picture"):
        vlm.reply([user_message("What?", 2)], [image])
