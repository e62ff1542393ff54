"""Hands cut out by what a teacher saw, and put into rooms."""

from __future__ import annotations

import base64
import io
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.train.nano.data import hands
from galago.train.nano.data.assets import Photo
from galago.train.nano.teach.workers import place_of

SIZE = (120, 160)
BOX = (40, 30, 80, 110)


class Store:
    """One picture: something skin-coloured, its wrist below, on green."""

    def picture(self, photo: Photo) -> Image.Image:
        page = Image.new("RGB", SIZE, (0, 160, 0))
        ImageDraw.Draw(page).ellipse(BOX, fill=(200, 150, 120))
        return page


def photo(key: str, fingers: int = 2) -> Photo:
    return Photo(int(key), SIZE[1], SIZE[0], {"key": key, "shard": "s", "fingers": fingers})


def hand(score: float = 0.95) -> dict[str, object]:
    mask = Image.new("1", SIZE)
    ImageDraw.Draw(mask).ellipse(BOX, fill=1)
    stream = io.BytesIO()
    mask.save(stream, "PNG")
    points = [[0.5, 0.68, 0.0]] * 9 + [[0.5, 0.45, 0.0]] * 12
    packed = base64.b64encode(stream.getvalue()).decode()
    return {"side": "left", "score": score, "points": points, "mask": packed}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rows = {"0": [hand()], "1": [], "2": [hand(), hand()], "3": [hand(0.5)]}
    counts = {"0": [(2, 0.99)], "1": [], "2": [(1, 0.99), (2, 0.99)], "3": [(2, 0.6)]}
    told = [
        ("hands", [{"key": key, "hands": some} for key, some in rows.items()]),
        (
            "counts",
            [
                {"key": key, "counts": [{"count": c, "chance": p} for c, p in some]}
                for key, some in counts.items()
            ],
        ),
    ]
    for teacher, some in told:
        path = place_of(tmp_path, teacher, "s")
        path.parent.mkdir()
        path.write_text("".join(json.dumps(row) + "\n" for row in some))
    return tmp_path


def test_only_one_sure_hand_is_cut_out(labels: Path) -> None:
    photos = [photo(key) for key in "01234"]  # nobody was asked about the last
    cuts = hands.find_cuts(photos, labels)
    assert [cut.photo.info["key"] for cut in cuts[2]] == ["0"]
    assert not any(cuts[n] for n in (0, 1, 3, 4, 5))


def test_sure_counts_and_pictures_without_hands(labels: Path) -> None:
    counted, empty = hands.find_counted([photo(key) for key in "01234"], labels)
    assert [(one.info["key"], count) for one, count in counted] == [("0", 2)]
    assert [one.info["key"] for one in empty] == ["1"]


@pytest.mark.parametrize("seed", range(10))
def test_a_hand_takes_its_share_of_the_scene(labels: Path, seed: int) -> None:
    (cut,) = hands.find_cuts([photo("0")], labels)[2]
    scene = Image.new("RGB", (192, 192), (20, 20, 200))
    (one, at), (two, _) = (
        hands.held_up(cut, Store(), scene, random.Random(seed)) for _ in range(2)
    )
    assert np.array_equal(np.asarray(one), np.asarray(two))
    changed = (np.asarray(one) != np.asarray(scene)).any(-1)
    assert 0.05 < changed.mean() < 0.85
    red, green, blue = np.moveaxis(np.asarray(one, int), -1, 0)
    wall = (green > 1.6 * red) & (green > 1.6 * blue) & (green > 30)
    assert (wall & changed).mean() < 0.01  # its wall stayed behind
    assert at is not None and at.shape == (21, 2)


def test_scene_is_left_as_it_was(labels: Path) -> None:
    (cut,) = hands.find_cuts([photo("0")], labels)[2]
    scene = Image.new("RGB", (96, 96), (9, 9, 9))
    hands.held_up(cut, Store(), scene, random.Random(1))
    assert scene.getcolors() == [(96 * 96, (9, 9, 9))]


class Dotted:
    """One picture: two dots where landmarks are, white on green."""

    def picture(self, photo: Photo) -> Image.Image:
        page = Image.new("RGB", SIZE, (0, 160, 0))
        for x, y in ((60, 109), (60, 72)):
            ImageDraw.Draw(page).ellipse((x - 4, y - 4, x + 4, y + 4), fill=(255, 255, 255))
        return page


def test_landmarks_stay_on_a_hand_as_it_was_taken(labels: Path) -> None:
    (cut,) = hands.find_cuts([photo("0")], labels)[2]
    spans = []
    for seed in range(20):
        page, at = hands.as_taken(cut, Dotted(), 192, random.Random(seed))
        assert page.size == (192, 192) and at.shape == (21, 2)
        for x, y in at[[0, 20]]:
            assert min(page.getpixel((int(x), int(y)))) > 200, (seed, x, y)
        spans.append(float(np.ptp(at, axis=0).max()) / 192)
    assert 0.2 < min(spans) < 0.5 < max(spans) < 1.0
