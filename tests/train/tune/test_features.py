"""Kept features: looked at once, the same as the engine's own, whole after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.checkpoints.vlm import open_checkpoint
from galago.rows.rows import PhotoFile
from galago.train.tune.features import FeatureStore, TrunkSession
from tests.helpers.checkpoints import tiny_llava


@pytest.fixture
def photos(tmp_path: Path) -> list[PhotoFile]:
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (80, 60), (60 * number, 90, 20)).save(path)
        found.append(PhotoFile(path.name, str(path)))
    return found


def test_they_are_the_trunks_own_and_computed_once(tmp_path: Path, photos: list[PhotoFile]) -> None:
    source = open_checkpoint(tiny_llava(tmp_path / "model"))
    image, trunk = source.spec.image, TrunkSession(source)
    store = FeatureStore(tmp_path / "store", image)
    assert store.fill(photos, lambda: trunk) == 3
    assert store.fill([*photos, *photos], lambda: trunk) == 0
    again = FeatureStore(tmp_path / "store", image)
    assert len(again) == 3
    for photo in photos:
        wanted = trunk.look(photo.pixel_values(image))
        found = again.read(photo)
        assert found.shape == wanted.shape == ((image.side // 64) ** 2, source.spec.vision.features)
        assert np.abs(found - wanted).max() <= np.abs(wanted).max() / 1000


def test_what_a_kill_left_is_done_again(tmp_path: Path, photos: list[PhotoFile]) -> None:
    source = open_checkpoint(tiny_llava(tmp_path / "model"))
    trunk = TrunkSession(source)
    store = FeatureStore(tmp_path / "store", source.spec.image)
    store.fill(photos, lambda: trunk)
    index = tmp_path / "store" / "features-0.jsonl"
    index.write_bytes(index.read_bytes()[:-20])
    after = FeatureStore(tmp_path / "store", source.spec.image)
    assert len(after) == 2 and after.fill(photos, lambda: trunk) == 1
    last = FeatureStore(tmp_path / "store", source.spec.image)
    assert len(last) == 3
    assert (last.read(photos[2]) == store.read(photos[2])).all()
