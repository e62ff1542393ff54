"""The whole way on the real engine, with small random weights: reuse changes nothing.

Tolerances: float32 sums are taken in another order when a prompt is fed in parts, which moved
logits by less than 1e-4 of their spread here; ids must be the same.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import galago
from galago.errors import (
    CheckpointError,
    ImageError,
    OptionError,
    SelfCheckError,
    UnknownModelError,
)
from galago.vlm.fastvlm import FastVLM
from galago.vlm.reply import prompt_keys
from galago.vlm.sampling import SamplingOptions
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava
from tests.helpers.pictures import smooth

SHORT = SamplingOptions(max_tokens=16)


@pytest.fixture(scope="module")
def loaded(ready: Path, tmp_path_factory: pytest.TempPathFactory) -> FastVLM:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GALAGO_CACHE", str(tmp_path_factory.mktemp("cache")))
        return FastVLM.load(ready, threads=2)


@pytest.fixture
def vlm(loaded: FastVLM) -> FastVLM:
    """The loaded model, remembering nothing."""
    loaded._speaker.pool.clear()
    return loaded


def ids(
    vlm: FastVLM,
    asked: object,
    prompt: str,
    options: SamplingOptions = SHORT,
    *,
    fresh: bool = True,
) -> list[int | None]:
    if fresh:
        vlm._speaker.pool.clear()
    return [chunk.token_id for chunk in vlm.stream(asked, prompt, options)]  # type: ignore[arg-type]


def test_loading_says_what_it_is(vlm: FastVLM) -> None:
    assert vlm.name == "tiny" and vlm.precision == "fp32" and vlm.resolution == 256
    assert galago.FastVLM is FastVLM


def test_batch_equals_single(vlm: FastVLM) -> None:
    pixels = np.random.default_rng(0).random((3, 3, 256, 256)).astype(np.float32)
    together = vlm._vision.encode(pixels)
    for at in range(3):
        alone = vlm._vision.encode(pixels[at : at + 1])[0]
        assert np.abs(together[at] - alone).max() < 1e-4 * np.abs(alone).max()


def test_cached_equals_uncached(vlm: FastVLM) -> None:
    """Logits of a prompt fed at once, in parts, and after something else was cut off."""
    note = vlm.encode(smooth())
    pieces = vlm._question("What is written in this image?", [note])
    embeds = vlm._speaker.embed(pieces, [note], 0)
    assert len(embeds) == len(prompt_keys(pieces, [note]))
    whole = vlm._speaker.language.new_cache().append(embeds)
    spread = np.ptp(whole)
    parts = vlm._speaker.language.new_cache()
    for start in range(0, len(embeds), 17):
        logits = parts.append(embeds[start : start + 17])
    assert np.abs(logits - whole).max() < 1e-4 * spread
    parts.append(embeds[:9])
    parts.truncate(20)
    again = parts.append(embeds[20:])
    assert np.abs(again - whole).max() < 1e-4 * spread


def test_a_second_question_equals_a_fresh_one(vlm: FastVLM) -> None:
    note = vlm.encode(smooth())
    questions = ["What is it?", "What is it? Say more.", "Read the text.", "What is it?"]
    fresh = [ids(vlm, note, question) for question in questions]
    vlm._speaker.pool.clear()
    assert [ids(vlm, note, question, fresh=False) for question in questions] == fresh
    chunks = list(vlm.stream(note, "What is it?", SHORT))
    stats = chunks[-1].stats
    assert stats is not None and stats.cached_tokens == stats.prompt_tokens - 1


def test_streaming_equals_asking(vlm: FastVLM) -> None:
    text = "".join(chunk.text for chunk in vlm.stream(smooth(), "What is it?", SHORT))
    assert text == vlm.ask(smooth(), "What is it?", SHORT)
    vlm._speaker.pool.clear()
    assert text == vlm.ask(vlm.encode(smooth()), "What is it?", SHORT)


def test_a_conversation_equals_feeding_it_all_again(vlm: FastVLM) -> None:
    talk = vlm.chat(smooth(), SHORT)
    for question in ("What is it?", "Are you sure?", "Read it again, please."):
        asked = talk._asked(question)
        said = [chunk.token_id for chunk in talk.say(question)][:-1]
        embeds = vlm._speaker.embed(asked, talk._images, 0)
        cache = vlm._speaker.language.new_cache()
        logits = cache.append(embeds)
        for token_id in said:
            assert int(logits.argmax()) == token_id
            logits = cache.append(vlm._speaker.language.embed([token_id]))
    assert len(talk.messages) == 6


def test_several_pictures_and_sides(vlm: FastVLM) -> None:
    one, other = vlm.encode(smooth(1)), vlm.encode(smooth(2), 320)
    assert other.features.shape == (25, 64)
    both = ids(vlm, [one, other], "Which is larger?")
    assert both == ids(vlm, [smooth(1), other], "Which is larger?")
    assert ids(vlm, [one, other], "Which is larger?", fresh=False) == both


@pytest.mark.parametrize("resolution", [256, 512, 768])
def test_every_side_runs(vlm: FastVLM, resolution: int) -> None:
    features = vlm.encode(smooth(), resolution).features
    assert features.shape == ((resolution // 64) ** 2, 64) and np.isfinite(features).all()


def test_same_seed_same_text(vlm: FastVLM) -> None:
    note = vlm.encode(smooth())
    drawn = SamplingOptions(temperature=0.8, top_p=0.9, seed=4, max_tokens=16)
    first = vlm.ask(note, "What?", drawn)
    vlm._speaker.pool.clear()
    assert vlm.ask(note, "What?", drawn) == first


def test_scores_equal_one_token_at_a_time(vlm: FastVLM) -> None:
    note = vlm.encode(smooth())
    answers = ["yes", "no", "a shopping list"]
    found = vlm.score(note, "Is it a list?", answers)
    pieces = vlm._question("Is it a list?", [note])
    for answer, score in zip(answers, found, strict=True):
        cache = vlm._speaker.language.new_cache()
        logits = cache.append(vlm._speaker.embed(pieces, [note], 0)).astype(np.float64)
        total = 0.0
        for one in [*vlm.tokenizer.encode(answer), vlm._speaker._end_token()]:
            total += logits[one] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
            logits = cache.append(vlm._speaker.language.embed([one])).astype(np.float64)
        assert abs(total - score) < 1e-3 * abs(total)


def test_streams_side_by_side_and_in_threads(vlm: FastVLM) -> None:
    few = SamplingOptions(max_tokens=6)  # each waits a little for the others
    notes = [vlm.encode(smooth(seed)) for seed in range(3)]
    alone = [ids(vlm, note, "What is it?", few) for note in notes]
    streams = [vlm.stream(note, "What is it?", few) for note in notes]
    turns = list(zip(*streams, strict=False))
    for at in range(3):
        assert [turn[at].token_id for turn in turns] == alone[at][: len(turns)]
    found: dict[int, list[int | None]] = {}

    def work(at: int) -> None:
        found[at] = [one.token_id for one in vlm.stream(notes[at], "What is it?", few)]

    threads = [threading.Thread(target=work, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(3)] == alone


def test_the_other_layout_says_the_same(vlm: FastVLM, tmp_path: Path) -> None:
    """The same weights as transformers saves them: it crops where llava pads, so a square."""
    other = FastVLM.load(tiny_fast_vlm(tmp_path / "other", shards=2), precision="fp32")
    square = smooth(size=(240, 240))
    assert other.spec.image.fit == "crop" and vlm.spec.image.fit == "pad"
    theirs, ours = other.encode(square).features, vlm.encode(square).features
    assert np.abs(theirs - ours).max() < 1e-5 * np.abs(ours).max()
    assert ids(other, square, "What is it?") == ids(vlm, square, "What is it?")


def test_two_models_in_folders_of_one_name(tiny: Path, vlm: FastVLM, tmp_path: Path) -> None:
    """Who encoded a picture is told by the weights, neither by the name nor by the place."""
    trained = tiny_llava(tmp_path / "mine" / "tiny", seed=3)
    moved = tmp_path / "moved" / "tiny"
    shutil.copytree(tiny, moved)
    other, same = (FastVLM.load(one, precision="fp32") for one in (trained, moved))
    assert other.name == same.name == vlm.name
    note = vlm.encode(smooth())
    assert same.ask(note, "What is it?", SHORT) == vlm.ask(note, "What is it?", SHORT)
    with pytest.raises(OptionError, match="another model of that name"):
        other.ask(note, "What is it?", SHORT)


def test_precisions_share_pictures(converted: Callable[[str], Path]) -> None:
    made = [FastVLM.load(converted(one)).identity for one in ("fp32", "bf16", "int8", "int8-int8")]
    assert len(set(made)) == 1


@pytest.mark.parametrize("precision", ["bf16", "int8", "int4"])
def test_other_precisions_run_and_repeat_themselves(
    converted: Callable[[str], Path], precision: str
) -> None:
    vlm = FastVLM.load(converted(precision), precision=precision)
    assert precision in vlm.precision
    note = vlm.encode(smooth())
    first = ids(vlm, note, "What is it?")
    assert first == ids(vlm, note, "What is it?")


def test_what_random_weights_do_not_bear_is_refused(tiny: Path) -> None:
    with pytest.raises(SelfCheckError, match="--force"):
        FastVLM.load(tiny, precision="int4")


def test_bad_loading(tiny: Path, ready: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError):
        FastVLM.load("fastvlm-nanoo")
    with pytest.raises(OptionError, match="precision"):
        FastVLM.load(tiny, precision="int3")
    with pytest.raises(OptionError, match="resolution"):
        FastVLM.load(ready, resolution=100)
    with pytest.raises(OptionError, match="threads"):
        FastVLM.load(tiny, threads=0)
    broken = shutil.copytree(ready, tmp_path / "broken")
    (broken / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="tokenizer"):
        FastVLM.load(broken)


def test_bad_pictures_after_loading(vlm: FastVLM, tmp_path: Path) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear all,\n")
    with pytest.raises(ImageError, match=r"letter\.jpg"):
        vlm.ask(letter, "What is it?")
    assert vlm.ask(smooth(), "What is it?", SHORT)
