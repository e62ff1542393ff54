"""What galago's own models knew: the same questions each time, held-out pictures alone."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from galago.errors import OptionError
from galago.places import MODELS
from galago.text.presets import PRESETS
from galago.train.tune import own_tasks
from galago.train.tune.own_tasks import OwnTasks, draw_notes, held_photos
from galago.vlm.fastvlm import FastVLM
from tests.helpers.checkpoints import tiny_fast_vlm

NANO = MODELS / "fastvlm-nano"


def shard(path: Path, infos: list[dict[str, object]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for number, info in enumerate(infos):
            picture = io.BytesIO()
            Image.new("RGB", (64, 64), (20 * number, 90, 90)).save(picture, "webp")
            for ending, data in (
                ("webp", picture.getvalue()),
                ("json", json.dumps(info).encode()),
            ):
                member = tarfile.TarInfo(f"{number:05}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def test_notes_are_the_same_each_time_and_short() -> None:
    first, again = draw_notes(12), draw_notes(12)
    for (picture, text), (other, same) in zip(first, again, strict=True):
        assert text == same and (np.asarray(picture) == np.asarray(other)).all()
        assert picture.size == (384, 384)
        lines = text.split("\n")
        assert 1 <= len(lines) <= 4
    assert len({text for _, text in first}) > 8


def test_of_the_shards_the_held_out_part_alone(tmp_path: Path) -> None:
    photo = {"task": "object", "label": "orange", "source": "s"}
    hand = {"task": "fingers", "fingers": 3, "source": "finger-counting"}
    infos = [
        photo | {"split": "train"},
        photo | {"split": "val"},
        hand | {"group": "Set1"},
        hand | {"group": "Set2"},
        {"task": "caption", "split": "val", "captions": ["A tree."]},
    ]
    shard(tmp_path / "a.tar", infos)
    held = held_photos(tmp_path)
    (thing,), (fingers,) = held["objects"], held["fingers"]
    assert (thing.where, thing.turns[0].answer) == ("a.tar:00001", "an orange")
    assert (fingers.where, fingers.turns[0].answer) == ("a.tar:00003", "3")
    assert fingers.turns[0].question == PRESETS["count"]
    assert thing.pictures[0].digest() != fingers.pictures[0].digest()
    assert np.asarray(Image.open(io.BytesIO(thing.pictures[0].source()))).shape == (64, 64, 3)


def test_shards_without_anything_held_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no shards with held-out pictures"):
        held_photos(tmp_path)
    (tmp_path / "b.tar").write_text("no tar")
    with pytest.raises(OptionError, match="b.tar is not a shard"):
        held_photos(tmp_path)


@pytest.mark.parametrize("info", [[1], "val", {"task": "fingers"}])
def test_tars_of_others_are_refused(tmp_path: Path, info: object) -> None:
    shard(tmp_path / "a.tar", [info])  # type: ignore[list-item]
    with pytest.raises(OptionError, match="a.tar is not a shard of pictures|no shards with"):
        held_photos(tmp_path)


def test_only_galagos_own_models_are_asked(tmp_path: Path) -> None:
    other = tiny_fast_vlm(tmp_path / "other")
    assert OwnTasks.of(other, None) is None
    with pytest.raises(OptionError, match="galago's own models"):
        OwnTasks.of(other, str(tmp_path))
    assert OwnTasks.of(NANO, None) is not None


@pytest.mark.model
def test_the_embedded_model_reads_them_and_one_that_babbles_does_not(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_tasks, "NOTES", 12)
    shard(tmp_path / "a.tar", [{"task": "object", "label": "orange", "split": "val"}])
    own = OwnTasks.of(NANO, str(tmp_path))
    assert own is not None
    read, wrong, things = own.ask(FastVLM.load(NANO), "asking")
    assert read.count == 12 and read.hits >= 4
    assert wrong.hits < 0.35 * wrong.count
    assert (things.what, things.count) == ("held-out objects named rightly", 1)
    babbled, misread, _ = own.ask(FastVLM.load(tiny), "asking")
    assert babbled.hits == 0 and 0.5 * misread.count < misread.hits <= misread.count
