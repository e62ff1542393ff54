"""The embedded MobileCLIP doubts pictures and words that it was never taught, and few others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.clip.mobileclip import MobileCLIP

EXAMPLES = Path(__file__).parents[2] / "examples" / "album"


@pytest.fixture(scope="module")
def clip() -> MobileCLIP:
    return MobileCLIP.load("mobileclip2-nano")


def test_things_that_it_knows_are_not_doubted(clip: MobileCLIP) -> None:
    labels = clip.label_set(["dress", "carrots", "pineapple"])
    assert labels.strange == ()
    for name, truth in (("IMG_9032", "dress"), ("IMG_9042", "carrots"), ("IMG_2681", "pineapple")):
        sorting = clip.sort_pixels(clip.prepare(EXAMPLES / f"{name}.jpg"), labels)
        assert not sorting.doubted, name
        assert labels.labels[int(np.argmax(sorting.shares))] == truth


def test_noise_is_doubted_however_sure_the_shares_look(clip: MobileCLIP) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    sorting = clip.sort_pixels(clip.prepare(Image.fromarray(noise)), clip.label_set(["dress"]))
    assert sorting.shares == (1.0,) and sorting.doubted
    assert sorting.known is not None and sorting.known < 0.5


def test_words_that_it_was_never_taught(clip: MobileCLIP) -> None:
    known = ["a red dress", "carrots", "my umbrella", "a photo of a banana"]
    odd = ["hippogriff", "a birthday cake", "people", "my grandmother"]
    assert clip.strange([*known, *odd], clip.embed_texts([*known, *odd])) == odd
    assert clip.label_set(["pizza", "hippogriff"]).strange == ("hippogriff",)


def test_another_model_doubts_nothing(clip_folder: Path) -> None:
    other = MobileCLIP.load(clip_folder)
    assert other.taught is None and other.label_set(["hippogriff"]).strange == ()
    seen = other.sort_pixels(other.prepare(EXAMPLES / "IMG_9032.jpg"), other.label_set(["a", "b"]))
    assert seen.known is None and not seen.doubted
