"""FastVLM on fakes: pictures are values, looked at once; questions and turns reach the model."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError, OptionError
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.fakes import FakeVision, fake_spec, fake_vlm, language, looks
from tests.helpers.pictures import png_header, saved, smooth

SHORT = SamplingOptions(max_tokens=12)


@pytest.fixture
def vlm(tokenizer: Tokenizer) -> FastVLM:
    return fake_vlm(tokenizer)


# -- pictures --------------------------------------------------------------------------------------


def test_an_encoded_image_is_a_value(vlm: FastVLM, tmp_path: Path) -> None:
    note = vlm.encode(smooth())
    assert note.features.shape == (16, 16) and note.features.dtype == np.float32
    assert note.size == (300, 200) and note.resolution == 256 and note.model == "fake"
    assert note.seconds > 0
    with pytest.raises(ValueError, match="read-only"):
        note.features[0] = 1
    with pytest.raises(AttributeError):
        note.size = (1, 1)  # type: ignore[misc]
    path = tmp_path / "note.png"
    smooth().save(path)
    same = [vlm.encode(one) for one in (path, path.read_bytes(), np.asarray(smooth()), note)]
    assert all(one == note and hash(one) == hash(note) for one in same)
    assert vlm.encode(smooth(1)) != note


def test_encoding_batch_equals_single(vlm: FastVLM) -> None:
    pixels = np.random.default_rng(0).random((2, 3, 256, 256)).astype(np.float32)
    both = vlm._vision.encode(pixels)
    assert np.array_equal(both[1], vlm._vision.encode(pixels[1:])[0])


@pytest.mark.parametrize("resolution", [256, 512, 1536])
def test_resolutions(vlm: FastVLM, tokenizer: Tokenizer, resolution: int) -> None:
    note = vlm.encode(smooth(), resolution)
    assert len(note.features) == (resolution // 64) ** 2 and note.resolution == resolution
    spec = fake_spec(tokenizer.vocab_size)
    other = FastVLM(FakeVision(), language(vlm), tokenizer, spec, resolution=resolution)
    assert other.resolution == resolution and other.encode(smooth()) == note


def test_a_resolution_by_content(vlm: FastVLM, tokenizer: Tokenizer) -> None:
    """Of a model of 1024 px: a picture of 300 x 200 needs 512, one that is asked for stays."""
    spec = fake_spec(tokenizer.vocab_size)
    spec = replace(spec, image=replace(spec.image, side=1024))
    auto = FastVLM(FakeVision(), language(vlm), tokenizer, spec, resolution="auto")
    small = auto.encode(smooth())
    assert small.resolution == 512 and len(small.features) == 64
    assert auto.encode(smooth(), 1024).resolution == 1024
    assert auto.resolution == 1024
    *_, last = auto.stream([small, auto.encode(smooth(1), 256)], "what?")
    assert last.stats is not None and last.stats.resolution == 512


@pytest.mark.parametrize("resolution", [0, 100, 192, 1600, -256, 512.0, "512", True])
def test_impossible_resolutions(vlm: FastVLM, tokenizer: Tokenizer, resolution: Any) -> None:
    with pytest.raises(OptionError, match="resolution"):
        vlm.encode(smooth(), resolution)
    with pytest.raises(OptionError, match="resolution"):
        FastVLM(FakeVision(), language(vlm), tokenizer, vlm.spec, resolution=resolution)


def test_an_encoded_image_of_another_model_or_side(tokenizer: Tokenizer, vlm: FastVLM) -> None:
    spec = fake_spec(tokenizer.vocab_size)
    other = FastVLM(FakeVision(), language(vlm), tokenizer, spec, name="other")
    note = other.encode(smooth())
    with pytest.raises(OptionError, match="encoded by other"):
        vlm.ask(note, "What?")
    with pytest.raises(OptionError, match="512"):
        other.encode(note, 512)
    assert other.encode(note, 256) is note


def test_a_picture_of_another_model_of_that_name(tokenizer: Tokenizer, vlm: FastVLM) -> None:
    spec = fake_spec(tokenizer.vocab_size)
    one, other = (
        FastVLM(FakeVision(), language(vlm), tokenizer, spec, identity=mark) for mark in "ab"
    )
    note = one.encode(smooth())
    assert one.name == other.name and note.identity == "a"
    for act in (other.encode, other.chat, lambda image: other.ask(image, "What?")):
        with pytest.raises(OptionError, match="encoded by another model of that name"):
            act(note)
    again = FastVLM(FakeVision(), language(vlm), tokenizer, spec, name="moved", identity="a")
    assert again.encode(note) is note, "the model counts, not what it is called"


def test_an_encoded_image_stays_what_it_is(vlm: FastVLM) -> None:
    note = vlm.encode(smooth())
    for copied in (copy.deepcopy(note), pickle.loads(pickle.dumps(note)), replace(note)):
        assert copied == note and not copied.features.flags.writeable
        assert vlm.ask(copied, "What?", SHORT) == vlm.ask(note, "What?", SHORT)
    changed = replace(note, features=note.features * 2)
    assert changed != note and changed.digest != note.digest
    mine = note.features.copy()
    made = replace(note, features=mine)
    mine[:] = 0
    assert made == note, "an array that is changed afterwards is somebody else's"


@pytest.mark.parametrize(
    "features",
    [
        np.zeros(16),
        np.zeros((0, 16)),
        np.zeros((1, 4, 16)),
        np.full((4, 16), np.nan),
        "x",
        [[1], []],
    ],
    ids=["flat", "none", "a batch", "nan", "text", "ragged"],
)
def test_features_that_are_none(vlm: FastVLM, features: Any) -> None:
    with pytest.raises(OptionError, match="features must be numbers"):
        replace(vlm.encode(smooth()), features=features)


BAD = {
    "empty.jpg": b"",
    "text.jpg": b"just some words, no picture at all\n" * 9,
    "cut.jpg": saved(smooth(size=(400, 300)), "JPEG")[:900],
    "cut.png": saved(smooth(size=(400, 300)), "PNG")[:4000],
    "cut.webp": saved(smooth(size=(400, 300)), "WEBP")[:300],
    "bomb.png": png_header(30_000, 30_000),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_one_clear_line(vlm: FastVLM, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BAD[name])
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
        smooth(size=(1, 1)),
        smooth(size=(20000, 3)),
        smooth().convert("CMYK"),
        smooth().convert("P"),
        smooth().convert("LA"),
        Image.fromarray(np.full((9, 9), 40000, np.uint16)),
    ],
    ids=["1x1", "20000x3", "cmyk", "palette", "grey with alpha", "16-bit"],
)
def test_odd_pictures_are_fine(vlm: FastVLM, image: Image.Image) -> None:
    note = vlm.encode(image)
    assert note.size == image.size and np.isfinite(note.features).all()


# -- questions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["", "  \n", None, 3])
def test_empty_questions_are_refused_at_once(vlm: FastVLM, prompt: Any) -> None:
    for act in (vlm.stream, vlm.ask, lambda one, text: vlm.chat(one).say(text)):
        with pytest.raises(OptionError, match="question"):
            act(smooth(), prompt)  # type: ignore[operator]


def test_a_question_about_the_image_marker(vlm: FastVLM, tokenizer: Tokenizer) -> None:
    question = "what does <image> or <|im_end|> mean?"
    pieces = vlm._question(question, [vlm.encode(smooth())])
    assert len(pieces) == 3 and question in tokenizer.decode(pieces[2])  # type: ignore[arg-type]
    assert vlm.ask(smooth(), question, SHORT)


def test_several_pictures(vlm: FastVLM, tokenizer: Tokenizer) -> None:
    one, other = vlm.encode(smooth(1)), vlm.encode(smooth(2), 512)
    chunks = list(vlm.stream([one, other], "Which is larger?", SHORT))
    assert chunks[-1].stats is not None and chunks[-1].stats.image_tokens == 16 + 64
    text = "".join(chunk.text for chunk in chunks)
    assert text != vlm.ask([other, one], "Which is larger?", SHORT)
    assert text == fake_vlm(tokenizer).ask([one, other], "Which is larger?", SHORT)
    assert vlm.ask([], "Hello?", SHORT)  # no picture at all is a question too


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
