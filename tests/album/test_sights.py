"""What photos probably show, in plain words."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from galago.album import Guide, Searcher
from galago.album.sights import PHRASE, sights, words
from galago.catalog import DEFAULT_CLIP
from galago.clip.mobileclip import MobileCLIP
from tests.helpers.albums import FakeEmbedder, photo, update

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMED = np.eye(200, dtype=np.float32)


def row(**scores: float) -> np.ndarray:
    """A photo that scores so for the words of these places."""
    vector = np.linspace(-0.05, 0.05, 200, dtype=np.float32)
    for place, score in scores.items():
        vector[int(place[1:])] = score
    return vector


def test_words_that_stand_out_are_named_best_first() -> None:
    found = sights(np.stack([row(w3=0.9), row(w5=0.8, w7=0.82), row(w1=0.9, w2=0.3)]), NAMED)
    assert found == [[3], [7, 5], [1]]


def test_a_photo_of_nothing_in_particular_gets_no_word() -> None:
    assert sights(row()[None], NAMED) == [[]]
    assert sights(np.zeros((2, 200), np.float32), NAMED) == [[], []]


def test_three_words_at_most() -> None:
    assert len(sights(row(w1=0.9, w2=0.9, w3=0.9, w4=0.9)[None], NAMED)[0]) == 3


def test_the_list_is_plain_words_each_once() -> None:
    assert len(words()) > 200 and len(set(words())) == len(words())
    assert all(word == word.strip() and word[0] != "#" for word in words())


def test_photos_by_their_numbers(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tuple(f"grey {at}" for at in range(60))
    monkeypatch.setattr("galago.album.guide.words", lambda: ("red", "blue", *others))
    for name in ("red", "blue"):
        photo(tmp_path / "photos" / f"{name}.png", name)
    update(album, tmp_path / "photos")
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        numbers = {Path(hit.path).stem: hit.number for hit in guide.find(["red"])}
        found = guide.sights([numbers["blue"], numbers["red"], 999])
        assert {number: seen[:1] for number, seen in found.items()} == {
            numbers["red"]: ["red"],
            numbers["blue"]: ["blue"],
        }
        assert guide.sights([]) == guide.sights([999]) == {}


@pytest.mark.model
def test_the_embedded_model_names_what_the_examples_show() -> None:
    clip = MobileCLIP.load(DEFAULT_CLIP)
    photos = sorted((EXAMPLES / "album").glob("*.jpg"))
    named = clip.embed_phrases([PHRASE.format(word) for word in words()])
    found = [
        [words()[place] for place in seen] for seen in sights(clip.embed_images(photos), named)
    ]
    by_name = {path.stem: seen for path, seen in zip(photos, found, strict=True)}
    assert by_name["IMG_9042"] == ["carrots"] and by_name["IMG_9385"][0] == "lemon"
    assert sum(map(bool, found)) >= 10, "as docs/page.md says, about"
