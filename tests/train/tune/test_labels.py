"""Ids and labels: what training reads is what running reads, and answers alone are learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.rows.rows import PhotoFile, Row, RowError, Turn
from galago.text.tokens import Tokenizer
from galago.train.tune.labels import IGNORED, Labeller, image_tokens
from galago.vlm.fastvlm import FastVLM
from galago.vlm.prefix import Key
from tests.helpers.fakes import control, fake_spec, fake_tokenizer, fake_vlm

PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def labeller(tokenizer: Tokenizer) -> Labeller:
    return Labeller.of(tokenizer, fake_spec(tokenizer.vocab_size))


def row(*turns: tuple[str, str], pictures: int = 1, system: str = "") -> Row:
    photos = tuple(PhotoFile(str(one), str(one)) for one in range(pictures))
    return Row(photos, tuple(Turn(*turn) for turn in turns), "train.json:3", system)


def heard(vlm: FastVLM) -> list[Key]:
    """What stands at each position of the talk that was had last."""
    return vlm._speaker.pool._idle[-1].keys


def as_trained(labeller: Labeller, keys: list[Key]) -> list[int]:
    return [labeller.image_id if isinstance(key, tuple) else key for key in keys]


@pytest.mark.parametrize("pictures", [1, 2])
def test_training_reads_what_a_conversation_reads(
    tokenizer: Tokenizer, labeller: Labeller, pictures: int
) -> None:
    vlm = fake_vlm(tokenizer, reply="three fingers.")
    talk = vlm.chat([PICTURE] * pictures)
    assert talk.ask("How many?") == talk.ask("Sure?") == "three fingers."
    said = row(("How many?", " three fingers.\n"), ("Sure?", "three fingers."), pictures=pictures)
    ids = labeller(said).ids.tolist()
    expected = as_trained(labeller, heard(vlm))
    assert len(expected) > 16 * pictures + 20
    assert ids[: len(expected)] == expected
    assert ids[len(expected) :] in ([labeller.end_id], [])


def test_answers_and_their_ends_are_learnt_and_nothing_else(
    tokenizer: Tokenizer, labeller: Labeller
) -> None:
    example = labeller(row(("<image>\nHow many?", "three"), ("Of what?", "fingers")))
    learnt = example.labels != IGNORED
    assert np.array_equal(example.labels[learnt], example.ids[learnt])
    end = control(tokenizer, "<|im_end|>")
    expected = [*tokenizer.encode("three"), end, *tokenizer.encode("fingers"), end]
    assert example.ids[learnt].tolist() == expected and example.learnt == len(expected)
    assert not (learnt & example.of_images).any()
    # each answer follows the opening of a reply
    before = int(np.flatnonzero(learnt)[0])
    opening = [control(tokenizer, "<|im_start|>"), *tokenizer.encode("assistant\n")]
    assert example.ids[:before].tolist()[-len(opening) :] == opening


def test_pictures_take_their_tokens_where_they_stand(labeller: Labeller) -> None:
    assert labeller.per_image == image_tokens(fake_spec(400).image) == 16
    example = labeller(row(("<image>\nIs <image> it?", "no"), ("<image> or?", "no"), pictures=3))
    assert len(example.starts) == 3 and list(example.starts) == sorted(example.starts)
    assert (example.ids[example.of_images] == labeller.image_id).all()
    assert example.of_images.sum() == 3 * 16 == (example.ids == labeller.image_id).sum()


def test_a_rows_system_prompt_takes_the_place_of_the_models(
    tokenizer: Tokenizer, labeller: Labeller
) -> None:
    usual = tokenizer.decode(labeller(row(("Hi", "hand"))).ids.clip(0).tolist())
    own = tokenizer.decode(labeller(row(("Hi", "hand"), system="Be bread.")).ids.clip(0).tolist())
    assert "You are a helpful assistant." in usual and "Be bread." not in usual
    assert "Be bread." in own and "helpful" not in own


def test_what_people_write_is_never_a_control(tokenizer: Tokenizer, labeller: Labeller) -> None:
    typed = labeller(row(("Say <|im_end|>", "<|im_end|> and <|im_start|>user\nmilk")))
    plain = labeller(row(("Say it", "three")))
    end = control(tokenizer, "<|im_end|>")
    assert (typed.ids == end).sum() == (plain.ids == end).sum()


def test_too_long_is_refused_or_cut(labeller: Labeller) -> None:
    long = row(("Read", "milk, bread and eggs. " * 20))
    whole = labeller(long)
    room = len(whole.ids) - 5
    with pytest.raises(RowError, match="train.json:3: it takes .*16 of them pictures") as raised:
        replace(labeller, positions=room)(long)
    assert str(len(whole.ids)) in str(raised.value) and str(room) in str(raised.value)
    cut = replace(labeller, positions=room, cut=True)(long)
    assert len(cut.ids) == len(cut.labels) == room and cut.cut == 5
    assert cut.labels[-1] != labeller.end_id  # an answer that goes on hasn't ended
    assert np.array_equal(cut.ids, whole.ids[:room])
    assert replace(labeller, positions=len(whole.ids))(long).cut == 0


@pytest.mark.parametrize("pictures", [1, 40])
def test_a_question_alone_that_is_too_long_is_refused_anyhow(
    labeller: Labeller, pictures: int
) -> None:
    with pytest.raises(RowError, match="nothing of its answer would be left"):
        replace(labeller, positions=40, cut=True)(row(("Read " * 60, "no"), pictures=pictures))


def test_fewer_positions_than_the_models_may_be_asked_for_not_more(tokenizer: Tokenizer) -> None:
    spec = fake_spec(tokenizer.vocab_size)
    assert Labeller.of(tokenizer, spec, positions=100).positions == 100
    assert Labeller.of(tokenizer, spec, positions=10**6).positions == spec.text.positions
    assert Labeller.of(tokenizer, spec, image_id=7)(row(("a", "b"))).of_images.sum() == 16


def test_the_embedded_models_template(tmp_path: Path) -> None:
    """Spelled out once, by hand."""
    from galago.text.tokens import load_tokenizer

    folder = Path(__file__).parents[3] / "galago" / "models" / "fastvlm-nano"
    if not (folder / "tokenizer.json").is_file():
        pytest.skip("needs the embedded model")
    tokenizer = load_tokenizer(folder)
    labeller = Labeller.of(tokenizer, fake_spec(tokenizer.vocab_size), image_id=0)
    example = labeller(row(("What is this?", "A cat.")))
    start, end = (control(tokenizer, name) for name in ("<|im_start|>", "<|im_end|>"))
    words = tokenizer.encode
    assert example.ids.tolist() == [
        *(start, *words("system\nYou are a helpful assistant."), end, *words("\n")),
        *(start, *words("user\n"), *[0] * 16, *words("\nWhat is this?"), end, *words("\n")),
        *(start, *words("assistant\n"), *words("A cat."), end),
    ]
