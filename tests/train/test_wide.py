"""Scenes, pasted things and photographed notes, drawn from a small store."""

from __future__ import annotations

import io
import json
import random
import tarfile
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.train.nano.data import assets, things
from galago.train.nano.data.wide import WideTasks, street
from galago.train.nano.teach.workers import place_of


def add(tar: tarfile.TarFile, number: int, info: dict[str, Any], picture: Image.Image) -> None:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", lossless=True)
    for ending, data in (("webp", stream.getvalue()), ("json", json.dumps(info).encode())):
        member = tarfile.TarInfo(f"{number:05}.{ending}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> WideTasks:
    folder = tmp_path_factory.mktemp("wide")
    with tarfile.open(folder / "captions-openstax-0.tar", "w") as tar:
        for number in range(8):
            info = {
                "task": "caption",
                "kind": "photo",
                "split": "train" if number < 6 else "val",
                "group": "astronomy" if number != 5 else "writing-guide",
                "captions": ["a photo of two dogs on a sofa. One of them sleeps, the other looks"],
                "labels": ["dog", "sofa"],
                "detected": [["person", 0.9], ["kite", 0.3]],
            }
            add(tar, number, info, Image.new("RGB", (60, 40), (number * 30, 80, 0)))
    cut = Image.new("RGBA", (50, 30))
    ImageDraw.Draw(cut).ellipse((5, 5, 44, 24), fill=(255, 0, 0, 255))
    with tarfile.open(folder / things.CUTOUTS, "w") as tar:
        for number, split in enumerate(("train", "val")):
            info = {"task": "caption", "kind": "drawing", "split": split, "labels": ["2 red pens"]}
            add(tar, number, info, cut)
    assets.build_photos(folder, folder / "cache")
    return WideTasks(folder / "cache", folder, "train", {}, None, folder)


def test_a_caption_is_said_and_its_nouns_are_learned(tasks: WideTasks) -> None:
    assert len(tasks.captioned) == 5  # neither the val part nor the book that is held out whole
    drawn = [tasks.sample("captioned", random.Random(seed), 64) for seed in range(20)]
    assert {sample.answer for sample in drawn} == {
        "Two dogs on a sofa.",
        "A photo of a dog and a sofa.",
    }
    sample = drawn[0]
    assert sample.names == ("dog", "sofa", "person")
    assert sample.picture.shape == (64, 64, 3)
    assert [tasks.nouns[i] for i in sample.nouns] == ["dog", "sofa", "person"]
    assert tasks.rows[tasks.store.photos[sample.photo].offset] == sample.photo
    again = tasks.sample("captioned", random.Random(0), 64)
    assert np.array_equal(sample.picture, again.picture)


def test_a_drawing_is_pasted_and_named(tasks: WideTasks) -> None:
    assert len(tasks.cutouts) == 1  # the other one is of the val part
    for seed in range(6):
        sample = tasks.sample("pasted", random.Random(seed), 64)
        assert sample.answer == "A drawing of a red pen." and sample.photo == -1
        rgb = sample.picture.astype(int)
        assert ((rgb[..., 0] > rgb[..., 1] + 60) & (rgb[..., 0] > 90)).mean() > 0.005
    assert tasks.captions[-1] == "A drawing of a red pen."


def test_a_drawing_is_called_by_one_of_it() -> None:
    labels = ["2 dead frogs", "tennis shoe", "Glass", "bus", "x", "frog_01"]
    named = things.drawn_names({"labels": labels})
    assert named == ("dead frog", "tennis shoe", "glass", "bus", "frog")


@pytest.mark.parametrize(
    ("alt", "said"),
    [
        ("a close-up photograph of (left) a bee", "A bee."),
        ("Dr. Smith waves. He smiles", "Dr."),
        ("an old map; it is torn", "An old map."),
        ("", ""),
    ],
)
def test_first_sentences(alt: str, said: str) -> None:
    assert things.sentence(alt) == said


def test_streets_have_names() -> None:
    rng = random.Random(1)
    assert all(len(street(["maple"], rng).split()) in (2, 3) for _ in range(20))
    assert "Maple" in street(["maple"], rng)


def test_lines_are_read_and_things_seen_where_teachers_are_sure(tasks: WideTasks) -> None:
    labels = tasks.cache / "labels"
    flat, slanted = [[2, 3], [50, 3], [50, 20], [2, 20]], [[2, 3], [50, 23], [50, 36], [2, 18]]
    lines = [
        {"text": "EXIT 2", "score": 0.99, "corners": flat},
        {"text": "unsure", "score": 0.5, "corners": flat},
        {"text": "slanted", "score": 0.99, "corners": slanted},
        {"text": "größer", "score": 0.99, "corners": flat},
    ]
    seen = [{"kind": 16, "score": 0.9}, {"kind": 16, "score": 0.8}, {"kind": 0, "score": 0.3}]
    for teacher, row in (("text", {"lines": lines}), ("things", {"things": seen})):
        path = place_of(labels, teacher, "captions-openstax-0")
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"key": "00001", **row}) + "\n")
    wide = WideTasks(tasks.cache, tasks.fonts_folder, "train", {}, labels, tasks.shards)
    assert [line.text for line in wide.lines] == ["EXIT 2"]
    sample = wide.sample("lines", random.Random(1), 64)
    assert sample.answer == "EXIT 2" and sample.cells is None and sample.kind == "text"
    assert things.find_seen(wide.captioned, labels)[0][1] == ("dog",)
    assert len(things.KINDS) == 80 == len(set(things.KINDS))
