"""A cut that knows the album: what counts as a match."""

from __future__ import annotations

import numpy as np
import pytest

from galago.album.match import Background, likeness, phrases, reach, strength, words_cut
from tests.helpers.albums import unit


def test_the_phrases_are_many_and_all_different() -> None:
    shown, absent = phrases()
    assert len(shown) >= 300 and len(absent) >= 50
    assert len({*shown, *absent}) == len(shown) + len(absent)


def test_strength_takes_out_what_is_the_photos_own() -> None:
    others = np.random.default_rng(0).normal(0.2, 0.05, (3, 400)).astype(np.float32)
    scores = np.array([0.3, 0.3, 0.2], np.float32)
    lifted = others + np.array([[0], [0.5], [0]], np.float32)  # a photo that likes every query
    strong = strength(scores + np.array([0, 0.5, 0], np.float32), lifted)
    assert strong[0] == pytest.approx(2, abs=0.2) and strong[2] == pytest.approx(0, abs=0.2)
    assert strong[1] == pytest.approx(2, abs=0.2)


def test_likeness_is_the_correlation_of_scores() -> None:
    background = Background(unit(300, 16, 1), unit(5, 16, 2))
    rows = unit(6, 16, 3)
    alike = likeness(rows, rows[2], background)
    plain = np.corrcoef(rows @ background.shown.T)[2]
    assert np.allclose(alike, plain, atol=1e-5) and alike[2] == pytest.approx(1)


def test_reach_grows_with_the_album_and_is_the_same_in_parts() -> None:
    background = Background(unit(300, 32, 1), unit(60, 32, 2))
    photos = unit(2000, 32, 3)
    whole = reach(photos, background)
    parts = np.maximum.reduce([reach(part, background) for part in np.array_split(photos, 7)])
    assert np.allclose(whole, parts, atol=1e-4)
    assert words_cut(whole) > words_cut(reach(photos[:50], background)) > 0
    assert words_cut(reach(photos[:0], background)) == words_cut(np.empty(0, np.float32))
