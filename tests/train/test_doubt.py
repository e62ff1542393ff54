"""The trainer's measure of doubt: halves, the fit, the curve, and a small run to the end."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from galago.checkpoints.doubt import DOUBT, read_taught
from galago.clip.mobileclip import MobileCLIP
from galago.train.nano.doubt import fit, pictures
from galago.train.nano.doubt.__main__ import main
from galago.train.nano.doubt.measure import Asked, Measured, Seen, right
from galago.train.nano.doubt.pictures import Shown
from galago.train.nano.doubt.report import TITLE, into_card
from galago.train.nano.doubt.scenes import scenes
from galago.vlm.fastvlm import FastVLM
from tests.helpers.clips import tiny_clip

RED, BLUE = (200, 30, 30), (30, 30, 200)


def shard(path: Path, rows: list[tuple[dict[str, Any], Image.Image]]) -> Path:
    """A WebDataset tar of pictures and what is said of them."""
    with tarfile.open(path, "w") as tar:
        for number, (info, picture) in enumerate(rows):
            data = io.BytesIO()
            picture.save(data, "WEBP", lossless=True)
            for ending, content in (("webp", data.getvalue()), ("json", json.dumps(info).encode())):
                member = tarfile.TarInfo(f"{number:05}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def blob(colour: tuple[int, int, int], number: int) -> Image.Image:
    page = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(page).ellipse((5, 5, 30 + number, 50), fill=colour)
    return page


def stripes(number: int) -> Image.Image:
    page = np.zeros((64, 64, 3), np.uint8)
    page[:, :: 2 + number % 5] = 255
    return Image.fromarray(page)


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Path, Path]:
    known = [
        ({"task": "object", "label": label, "split": split}, blob(colour, number))
        for label, colour in (("umbrella", RED), ("pizza", BLUE))
        for split in ("train", "val")
        for number in range(12)
    ]
    unknown = [
        ({"labels": [f"zebra {'abcdefghij'[n]}"], "group": f"book-{n}"}, stripes(n))
        for n in range(10)
    ]
    unknown.append(({"labels": ["two umbrellas"], "group": "book"}, stripes(1)))
    return shard(tmp_path / "photos-a.tar", known), shard(tmp_path / "captions-b-0.tar", unknown)


def test_what_names_a_known_thing_is_left_out_and_groups_stay_whole(
    shards: tuple[Path, Path],
) -> None:
    known, unknown = shards
    assert pictures.labels_of([known]) == ["pizza", "umbrella"]
    found = list(pictures.unknown(unknown, ["umbrella", "pizza"], 7, 100, held_out=False))
    assert len(found) == 10 and {one.source for one in found} == {"captions-b"}
    assert {one.part for one in found} == {"fit", "measure"}
    held = pictures.unknown(unknown, ["umbrella"], 1, 100, held_out=True)
    assert {one.part for one in held} == {"measure"}
    parts = {one.part for one in pictures.known([known], 1, 100, 3)}
    assert parts == {"taught", "fit", "measure"}
    words = pictures.words_of([unknown], ["umbrella"])
    assert "zebra a" in words["captions-b"] and "two umbrellas" not in words["captions-b"]


def test_scenes_are_taught_by_noun_and_measured_by_book(tmp_path: Path) -> None:
    rows = [
        ({"labels": ["dog"], "group": f"b{n}/1", "split": split, "kind": "photo"}, stripes(n))
        for split in ("train", "val")
        for n in range(8)
    ]
    rows.append(({"labels": ["cat"], "group": "b", "split": "train"}, stripes(1)))
    rows.append(({"labels": ["dog"], "group": "b", "split": "val", "kind": "drawing"}, stripes(1)))
    books = shard(tmp_path / "captions-b-0.tar", rows)
    found = list(scenes([books], 7, 6, 3))
    assert [one.truth for one in found if one.part == "taught"] == ["dog"] * 3  # of one cat: none
    tried = [one for one in found if one.part != "taught"]
    assert len(tried) == 6 and {one.kind for one in found} == {"scene"}
    assert {one.part for one in tried} == {"fit", "measure"} and "b" not in {
        one.group for one in tried
    }


def test_a_border_separates_what_can_be_and_its_curve_says_what_it_costs() -> None:
    rng = np.random.default_rng(0)
    signals = np.concatenate([rng.normal(0, 1, (200, 3)), rng.normal(2, 1, (200, 3))])
    is_right = np.arange(400) >= 200
    counted = fit.balanced(["a"] * 400, is_right)
    weights, bias = fit.regression(signals, is_right, counted)
    known = 1 / (1 + np.exp(-(signals @ weights + bias)))
    assert ((known > 0.5) == is_right).mean() > 0.93
    border = fit.border_at(list(known[:200]), 0.1)
    point = fit.point_at(border, list(known[:200]), list(known[200:]))
    assert point.undoubted == pytest.approx(0.1, abs=0.01)
    assert point.doubted == (known[200:] < border).mean() < 0.1
    costs = [p.doubted for p in fit.curve(list(known[:200]), list(known[200:]), (0.01, 0.1, 0.5))]
    assert costs == sorted(costs, reverse=True)


def test_the_space_has_spread_one_within_things() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 5, (10, 8))
    features = np.repeat(centres, 200, axis=0) + rng.normal(0, 1, (2000, 8)) * np.arange(1, 9)
    labels = [str(n // 200) for n in range(2000)]
    space = fit.space_of(features.astype(np.float32), labels, 8)
    placed = (features - space.middle) @ space.whiten
    within = placed.reshape(10, 200, 8) - placed.reshape(10, 200, 8).mean(axis=1, keepdims=True)
    assert 0.4 < within.std() < 1.1 and len(space.centres) == 10


@pytest.mark.parametrize(
    ("kind", "question", "truth", "said", "ok"),
    [
        ("object", "describe", "umbrella", "A photo of an umbrella.", True),
        ("object", "brief", "chair", "A windsor chair.", False),
        ("fingers", "count", "3", " 3.", True),
        ("fingers", "describe", "1", "A photo of a hand holding up one finger.", True),
        ("fingers", "describe", "1", "A photo of a hand holding up two fingers.", False),
        ("note", "read", "buy\nmilk", "buy milk", True),
        ("note", "describe", "buy milk", "A picture of text that says: buy milk", True),
        ("note", "read", "buy milk", "sell meat", False),
        ("scene", "describe", "dog ; blue sky", "Two dogs run.", True),
        ("scene", "brief", "dog ; blue sky", "A cat.", False),
        ("unknown", "describe", "", "A photo of an umbrella.", False),
    ],
)
def test_right_answers(kind: str, question: str, truth: str, said: str, ok: bool) -> None:
    shown = Shown(Image.new("RGB", (1, 1)), "s", kind, truth, "measure", "g")
    assert right(shown, question, said) is ok


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    made = Measured(
        np.ones((1, 2), np.float32),
        [Seen("s", "object", "ü", "fit", "g")],
        [Asked(0, "describe", (-1.0, -2.0), True)],
    )
    made.save(tmp_path / "kept.npz")
    read = Measured.load(tmp_path / "kept.npz")
    assert np.array_equal(read.features, made.features)
    assert (read.pictures, read.asked) == (made.pictures, made.asked)


def test_a_card_gets_the_table_once(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# m\n\n## Data\n\nd\n\n## What it can't do\n\nw\n")
    for text in ("first\n", "second\n"):
        into_card(card, text)
    assert (
        card.read_text()
        == f"# m\n\n## Data\n\nd\n\n{TITLE}\n\nsecond\n\n## What it can't do\n\nw\n"
    )


def run(folder: Path, shards: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    known, unknown = map(str, shards)
    out = folder.parent / "out"
    given = [str(folder), "--known", known, "--unknown", unknown, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["doubt", *given])
    main()
    return json.loads((out / "doubt.json").read_text())  # type: ignore[no-any-return]


def test_a_small_run_of_a_vision_language_model(
    tiny: Path, tmp_path: Path, shards: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that it writes is what the model then doubts by."""
    folder = tmp_path / "tiny"
    shutil.copytree(tiny, folder)
    monkeypatch.setattr("galago.train.nano.doubt.measure.right", lambda one, *_: one.truth != "")
    figures = run(folder, shards, monkeypatch)
    assert [curve["task"] for curve in figures["curves"]] == ["describe", "brief"]
    kept = Measured.load(tmp_path / "out" / "doubt-vlm.npz")
    vlm = FastVLM.load(folder)
    taught = read_taught(folder, lambda: vlm.identity)
    assert taught is not None
    for picture in (blob(RED, 3), stripes(3)):
        image = vlm.encode(picture)
        *_, last = vlm.stream(image, "What is this?")
        assert last.stats is not None and last.stats.known is not None
        assert last.stats.known == taught.known(image.features, last.stats.signals)
        assert last.stats.doubted is taught.doubts(last.stats.known)
    one = next(one for one in kept.asked if one.question == "describe")
    assert 0 <= taught.known(kept.features[one.row], one.answer) <= 1


def test_a_small_run_of_two_towers(
    tmp_path: Path, shards: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "clip"
    tiny_clip(folder)
    monkeypatch.setattr("galago.train.nano.doubt.calibrate.KEEP", 8)
    figures = run(folder, shards, monkeypatch)
    assert [curve["task"] for curve in figures["curves"]] == ["classify", "search"]
    clip = MobileCLIP.load(folder)
    sorting = clip.sort_pixels(clip.prepare(stripes(2)), clip.label_set(["pizza", "zebra a"]))
    assert sorting.known is not None and sum(sorting.shares) == pytest.approx(1)
    assert clip.taught is not None
    assert clip.taught.nearness(clip.embed_texts(["pizza", "umbrella"])).min() > 0.99
    assert (folder / DOUBT).stat().st_size < 200_000
