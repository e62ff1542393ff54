"""MobileCLIP through a small folder: vectors, batches, labels, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.folders import CLIP_WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile
from galago.clip.mobileclip import MobileCLIP
from galago.errors import GalagoError, ImageError, OptionError
from galago.text.clip_tokens import load_clip_tokenizer
from tests.helpers.clips import pictures, published, tiny_clip


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> MobileCLIP:
    return MobileCLIP.load(clip_folder, precision="fp32")


def test_vectors_are_unit_rows_in_order(clip: MobileCLIP) -> None:
    rows = clip.embed_images(pictures(3))
    assert rows.shape == (3, clip.dim) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    words = clip.embed_texts(["a dog", "a cat on a mat"])
    assert words.shape == (2, clip.dim)
    assert np.allclose(np.linalg.norm(words, axis=1), 1, atol=1e-5)
    assert not np.allclose(words[0], words[1], atol=1e-3)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> MobileCLIP:
    """One with a published trunk and vocabulary."""
    return MobileCLIP.load(published(tmp_path_factory.mktemp("clip") / "mine"), precision="fp32")


def test_a_published_trunk_runs(large: MobileCLIP) -> None:
    assert large.name == "mine"
    rows, words = large.embed_images(pictures(2)), large.embed_texts(["a dog", "a cat"])
    assert rows.shape == words.shape == (2, large.dim) and np.isfinite(rows).all()
    assert not np.allclose(words[0], words[1], atol=1e-3)


def test_a_batch_gives_what_single_pictures_give(clip: MobileCLIP) -> None:
    seen: list[int] = []
    rows = clip.embed_images(iter(pictures(5)), batch=2, progress=seen.append)
    alone = np.concatenate([clip.embed_images([p]) for p in pictures(5)])
    assert np.allclose(rows, alone, atol=1e-4)
    assert seen == [2, 4, 5]


def test_pictures_are_taken_a_batch_at_a_time(clip: MobileCLIP) -> None:
    taken = 0

    def stream() -> Any:
        nonlocal taken
        for picture in pictures(6):
            taken += 1
            yield picture

    ahead: list[int] = []
    clip.embed_images(stream(), batch=2, progress=lambda done: ahead.append(taken - done))
    assert max(ahead) == 0


def test_nothing_gives_no_rows(clip: MobileCLIP) -> None:
    assert clip.embed_images([]).shape == (0, clip.dim)
    assert clip.embed_texts([]).shape == (0, clip.dim)


@pytest.mark.parametrize("causal", [True, False])
def test_the_company_of_other_texts_changes_nothing(tmp_path: Path, causal: bool) -> None:
    clip = MobileCLIP.load(tiny_clip(tmp_path / "m", causal=causal), precision="fp32")
    texts = ["a dog", "a very long story about " + "cats " * 100, ""]
    together = clip.embed_texts(texts)
    alone = np.concatenate([clip.embed_texts([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-4)


def test_classify_is_the_softmax_of_scaled_cosines(clip: MobileCLIP) -> None:
    labels = ["cat", "dog", "car"]
    shares = clip.classify(pictures(1)[0], labels)
    words = clip.embed_texts([f"a photo of a {label}." for label in labels])
    logits = clip.logit_scale * (clip.embed_images(pictures(1)) @ words.T)[0].astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(shares, expected, atol=1e-4)
    assert sum(shares) == pytest.approx(1)


def test_labels_are_the_mean_over_templates(clip: MobileCLIP) -> None:
    rows = clip.embed_labels(["cat"], ["a {}", "the {}"])
    mean = clip.embed_texts(["a cat", "the cat"]).mean(0)
    assert np.allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_stay_near(clip_folder: Path, clip: MobileCLIP, precision: str) -> None:
    other = MobileCLIP.load(clip_folder, precision=precision)
    near = (other.embed_images(pictures(2)) * clip.embed_images(pictures(2))).sum(1)
    words = (other.embed_texts(["a dog"]) * clip.embed_texts(["a dog"])).sum(1)
    assert near.min() > 0.98 and words.min() > 0.99
    assert other.precision == precision


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.classify(pictures(1)[0], []), "at least one label"),
        (lambda c: c.classify(pictures(1)[0], "cat"), "labels must be a list"),
        (lambda c: c.classify(pictures(1)[0], [1, 2]), "labels must be a list"),
        (lambda c: c.classify(pictures(1)[0], ["cat", " "]), "a label is empty"),
        (lambda c: c.embed_texts(None), "must be a list"),
        (lambda c: c.embed_images("cat.jpg"), "pictures must be a list"),
        (lambda c: c.embed_images(pictures(1)[0]), "pictures must be a list"),
        (lambda c: c.embed_images(pictures(1), batch=1.5), "1 or more"),
        (lambda c: c.classify(pictures(1)[0], ["cat"], "nonsense"), "use one of photo"),
        (lambda c: c.classify(pictures(1)[0], ["cat"], ["a photo"]), "{}"),
        (lambda c: c.embed_texts("a dog"), "must be a list"),
        (lambda c: c.embed_images(pictures(1), batch=0), "1 or more"),
    ],
)
def test_wrong_arguments_are_told(clip: MobileCLIP, call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call(clip)


def test_the_scale_may_be_stored_in_bf16(tmp_path: Path) -> None:
    clip = MobileCLIP.load(tiny_clip(tmp_path, scale=4.5, dtype="BF16"), precision="fp32")
    assert clip.logit_scale == pytest.approx(np.exp(4.5), rel=1e-3)


def test_generators_of_texts_are_as_good_as_lists(clip: MobileCLIP) -> None:
    texts = ["a dog", "a cat"]
    assert np.array_equal(clip.embed_texts(t for t in texts), clip.embed_texts(texts))  # type: ignore[arg-type]
    labels = clip.embed_labels((t for t in texts), (t for t in ("a {}", "the {}")))  # type: ignore[arg-type]
    assert np.array_equal(labels, clip.embed_labels(texts, ["a {}", "the {}"]))


def test_a_missing_picture_is_told(clip: MobileCLIP, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg"):
        clip.embed_images([tmp_path / "none.jpg"])


def test_a_name_too_long_for_a_file_is_told() -> None:
    with pytest.raises(GalagoError):
        MobileCLIP.load("x" * 300, offline=True)


def test_an_unknown_precision_is_told(clip_folder: Path) -> None:
    with pytest.raises(OptionError, match="fp32, bf16, int8"):
        MobileCLIP.load(clip_folder, precision="int4")


def test_the_tokenizer_needs_no_network() -> None:
    ids = load_clip_tokenizer()(["a photo of a cat."])
    assert ids.shape == (1, 77) and ids[0, 0] == 49406 and ids[0].max() == 49407


def test_a_tower_is_compiled_when_it_is_needed(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled")

    clip = MobileCLIP.load(clip_folder, precision="fp32")
    monkeypatch.setattr("galago.engine.clip_sessions.ImageTower", refuse)
    assert clip.embed_texts(["a dog"]).shape == (1, clip.dim)
    with pytest.raises(AssertionError):
        clip.embed_images(pictures(1))


def test_phrases_are_embedded_once_and_leave_no_tower_behind(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a dog", "compound interest"]
    clip = MobileCLIP.load(clip_folder, precision="fp32")
    rows = clip.embed_phrases(texts)
    assert np.array_equal(rows, clip.embed_texts(texts))
    monkeypatch.setattr("galago.engine.clip_sessions.TextTower", None)  # no other is made
    assert np.array_equal(clip.embed_phrases(["a cat"]), clip.embed_texts(["a cat"]))
    again = MobileCLIP.load(clip_folder, precision="fp32")
    assert np.array_equal(again.embed_phrases(texts), rows)
    with pytest.raises(TypeError):
        again.embed_phrases(["a third"])


def test_identity_is_of_the_weights_not_of_the_place(
    clip_folder: Path, clip: MobileCLIP, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(clip_folder, moved)
    other = MobileCLIP.load(moved, precision="bf16")
    assert other.identity == clip.identity and len(clip.identity) == 32
    data = bytearray((moved / CLIP_WEIGHTS).read_bytes())
    entry = SafetensorsFile(moved / CLIP_WEIGHTS).tensors["text.text_projection"]
    changed = np.asarray(entry.read()).tobytes()
    place = bytes(data).index(changed)
    data[place : place + 4] = np.float32(3).tobytes()
    (moved / CLIP_WEIGHTS).write_bytes(bytes(data))
    assert MobileCLIP.load(moved).identity != clip.identity


def test_whether_a_text_fits(large: MobileCLIP) -> None:
    assert large.fits("a dog on a beach") and large.fits("dog " * 75)
    assert not large.fits("dog " * 76)
    assert large.count_tokens("a dog on a beach") == 7 and large.count_tokens("dog " * 76) == 77


def test_prepared_pixels_embed_as_pictures_do(clip: MobileCLIP) -> None:
    pixels = np.stack([clip.prepare(picture, name="it") for picture in pictures(2)])
    assert np.array_equal(clip.embed_pixels(pixels), clip.embed_images(pictures(2)))
    with pytest.raises(ImageError, match="it is empty"):
        clip.prepare(b"", name="it")


def test_many_pictures_with_bad_ones_among_them(clip: MobileCLIP, tmp_path: Path) -> None:
    """One bad picture lost the rows of all."""
    good, told = pictures(4), []
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    mixed = [good[0], tmp_path / "none.jpg", good[1], good[2], tmp_path / "bad.jpg", good[3]]
    rows, skipped = clip.embed_images(mixed, batch=2, progress=told.append, on_error="skip")
    assert np.allclose(rows, clip.embed_images(good), atol=1e-5) and rows.shape[0] == 4
    assert list(skipped) == [1, 4] and told == [2, 4, 6]
    assert "none.jpg" in str(skipped[1]) and "bad.jpg" in str(skipped[4])
    nothing, skipped = clip.embed_images([tmp_path / "bad.jpg"], on_error="skip")
    assert nothing.shape == (0, clip.dim) and list(skipped) == [0]
    with pytest.raises(ImageError):
        clip.embed_images(mixed)
    with pytest.raises(OptionError, match="on_error 'ignore'"):
        clip.embed_images(good, on_error="ignore")  # type: ignore[call-overload]
