"""The embedded model's photographs as tars: what stands on which side, and in what words."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from galago.errors import OptionError
from galago.rows.read import read_data
from galago.train.nano.clip.material import caption_for, write_material
from galago.train.nano.data.apart import BOOKS
from galago.train.nano.data.captions import captions, load_synonyms

SCENE: dict[str, Any] = {
    "task": "caption", "split": "train", "kind": "photo", "group": "a-book",
    "labels": ["dog", "beach"], "captions": ["A dog on a beach."],
}  # fmt: skip
INFOS: list[dict[str, Any]] = [
    {"task": "object", "split": "train", "label": "umbrella"},
    {"task": "object", "split": "val", "label": "umbrella"},
    SCENE,
    {**SCENE, "group": next(iter(BOOKS))},  # held out whole
    {**SCENE, "captions": ["A puppy on a beach."]},  # a word that is held out
    {**SCENE, "kind": "drawing"},
    {**SCENE, "captions": []},
    {"task": "fingers", "split": "train", "fingers": 3},
]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "webp")
    with tarfile.open(folder / "some.tar", "w") as tar:
        for number, info in enumerate(INFOS):
            parts = ((".webp", stream.getvalue()), (".json", json.dumps(info).encode()))
            for ending, content in parts:
                entry = tarfile.TarInfo(f"{number:05}{ending}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return folder


def told(folder: Path) -> dict[str, str]:
    rows = read_data(str(folder)).rows
    return {rows[n].where: rows[n].turns[0].answer for n in range(len(rows))}


def test_each_side_has_its_own_and_nobody_what_is_held_out(shards: Path, tmp_path: Path) -> None:
    assert write_material(shards, tmp_path / "out", 1) == {"train": 2, "held-out": 1}
    train = told(tmp_path / "out" / "train")
    assert train.keys() == {"some.tar:00000", "some.tar:00002"}
    assert train["some.tar:00002"] == "A dog on a beach."
    assert train["some.tar:00000"] in captions("umbrella", load_synonyms(), 24, 1)
    assert told(tmp_path / "out" / "held-out").keys() == {"some.tar:00001"}


def test_pictures_of_a_label_are_told_in_several_ways_and_each_the_same_way() -> None:
    umbrella = INFOS[0]
    said = [caption_for(umbrella, f"1-{n}", 1) for n in range(200)]
    assert set(said) == set(captions("umbrella", load_synonyms(), 24, 1))
    assert said == [caption_for(umbrella, f"1-{n}", 1) for n in range(200)]


def test_a_folder_without_such_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="holds no shards of photographs"):
        write_material(tmp_path, tmp_path / "out", 1)
