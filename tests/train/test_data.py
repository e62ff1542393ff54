"""The trainer's torch-free data: samples, splits, phrases, captions, the vocabulary."""

from __future__ import annotations

import io
import json
import random
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import OptionError
from galago.specs import PromptSpec
from galago.text.tokens import load_tokenizer
from galago.train.nano.data import assets, render, words
from galago.train.nano.data.captions import captions, holds_out, load_synonyms
from galago.train.nano.data.tasks import KINDS, Sample, Tasks, hand_mask


def test_same_seed_same_picture(font: str) -> None:
    one, two, other = (
        render.render(["Milk", "2 eggs"], font, random.Random(seed), 128) for seed in (1, 1, 2)
    )
    assert np.array_equal(one.picture, two.picture)
    assert not np.array_equal(one.picture, other.picture)
    assert one.picture.shape == (128, 128, 3) and one.text == "Milk\n2 eggs"


@pytest.mark.parametrize("seed", range(8))
def test_every_letter_has_a_centre_of_its_class(font: str, seed: int) -> None:
    drawn = render.render(["Hi"], font, random.Random(seed), 256)
    found = drawn.classes[drawn.centres].tolist()
    assert sorted(found) == sorted(render.CLASS_OF[c] for c in "Hi")


def test_ink_lies_where_the_cells_say(font: str) -> None:
    drawn = render.render(["OOO"], font, random.Random(4), 256)
    rows, columns = np.nonzero(drawn.classes)
    height = width = render.CELL
    box = drawn.picture[
        rows.min() * height : (rows.max() + 1) * height,
        columns.min() * width : (columns.max() + 1) * width,
    ]
    assert box.std() > drawn.picture[:, : max(1, columns.min() * width - 8)].std()


def shard(path: Path, rows: list[dict[str, object]]) -> None:
    with tarfile.open(path, "w") as tar:
        for number, info in enumerate(rows):
            stream = io.BytesIO()
            Image.new("RGB", (200, 320), (number * 20, 0, 0)).save(stream, "WEBP", lossless=True)
            for ending, data in (
                ("webp", stream.getvalue()),
                ("json", json.dumps(info).encode()),
            ):
                member = tarfile.TarInfo(f"{number:05}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def test_photographs_are_decoded_once_and_keep_their_split(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"task": "object", "label": "cup", "split": "train", "source": "x"},
        {"task": "object", "label": "cup", "split": "val", "source": "x"},
        {"task": "fingers", "fingers": 2, "group": "Set2", "source": "finger-counting"},
    ]
    shard(tmp_path / "a.tar", rows)
    assets.build_photos(tmp_path, tmp_path / "cache")
    store = assets.PhotoStore(tmp_path / "cache")
    assert len(store.select("object", "train")) == len(store.select("object", "val")) == 1
    assert [p.info["split"] for p in store.select("fingers", "val")] == ["val"]
    second = store.select("object", "val")[0]
    assert (second.width, second.height) == (160, 256)
    assert store.picture(second).getpixel((5, 5)) == (20, 0, 0)


def test_a_folder_without_shards_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"nowhere holds no shards \(NAME.tar\)"):
        assets.build_photos(tmp_path / "nowhere", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()  # an empty one would break the next, right run


def test_no_recording_is_on_both_sides() -> None:
    def split(source: str, group: str) -> str:
        return assets.hand_split({"source": source, "group": group})

    assert {split("finger-counting", g) for g in ("Set1", "Set2")} == {"train", "val"}
    assert {split("hands-dataset", g) for g in ("2", "5")} == {"train", "val"}
    assert {split("sign-language-digits", f"IMG_{n}") for n in (1118, 5996)} == {"train", "val"}


def test_held_out_designs_and_fonts_are_not_trained_on(tmp_path: Path) -> None:
    assert assets.HELD_OUT_DESIGN not in assets.TRAIN_DESIGNS
    for family in ("kalam", "roboto"):
        (tmp_path / family).mkdir()
    assert assets.font_families(tmp_path, "val") == ["kalam"]
    assert assets.font_families(tmp_path, "train") == ["roboto"]


def test_emoji_names_are_distinct() -> None:
    names = assets.emoji_names()
    assert len(names) == len(set(names)) > 100
    assert len({words.phrase(assets.emoji_label(n)) for n in names}) == len(names)


@pytest.mark.parametrize(
    ("label", "said"),
    [("sunflower", "a sunflower"), ("orange", "an orange"), ("scissors", "scissors"),
     ("oatly oat milk", "oatly oat milk"), ("eyes", "eyes")],
)  # fmt: skip
def test_phrases(label: str, said: str) -> None:
    assert words.phrase(label) == said


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_spoken_of(kind: str) -> None:
    answer = {"fingers": "3", "text": "two\nwords here"}.get(kind, "cup")
    sample = Sample(kind, np.zeros((8, 8, 3), np.uint8), answer, 3, names=("cup", "table"))
    rng = random.Random(0)
    spoken = [words.speak(sample, rng) for _ in range(300)]
    assert all(one.prompt and one.text for one in spoken)
    assert len({one.prompt for one in spoken}) > 8
    if kind == "scene":
        assert {one.text for one in spoken} == {"cup", "A cup.", "No."}
    if kind == "text":
        asked = [one for one in spoken if one.prompt in words.WORDS]
        assert asked and {one.text for one in asked} == {"3"}


def test_a_fist_is_not_said_to_be_absent() -> None:
    rng = random.Random(1)
    asked = words.ASKED_KIND["fingers"]
    for present, said in ((True, "Yes."), (False, "No.")):
        sample = Sample("fingers", np.zeros((8, 8, 3), np.uint8), "0", 0, present=present)
        spoken = [words.speak(sample, rng) for _ in range(500)]
        assert {one.text for one in spoken if one.prompt == asked} == {said}


def test_vocabulary_spells_any_text_and_knows_its_phrases(tmp_path: Path) -> None:
    words.build_tokenizer(tmp_path, 600, ["sunflower", "cup"], PromptSpec().system)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.token_id("<|im_end|>") is not None
    spelled = [i for c in "Zoë 7€\nq" for i in tokenizer.encode(c)]
    assert tokenizer.decode(spelled) == "Zoë 7€\nq"
    assert len(tokenizer.encode("A photo of a sunflower.")) <= 7


def test_hand_is_cut_from_a_plain_wall() -> None:
    wall = np.full((80, 80, 3), 200, np.uint8)
    wall[30:60, 30:50] = (150, 90, 70)
    mask = np.asarray(hand_mask(Image.fromarray(wall)))
    assert mask[45, 40] > 250 and mask[5, 5] == 0


def test_captions_never_hold_a_word_that_is_held_out() -> None:
    synonyms = load_synonyms()
    words = set(synonyms.held_out)
    labels = {label for labels in synonyms.held_out.values() for label in labels}
    labels |= set(synonyms.names) | set(synonyms.kinds)
    assert len(labels) > 150
    for label in labels:
        said = captions(label, synonyms, 24, 2026)
        assert said == captions(label, synonyms, 24, 2026) and len(said) == 24
        for caption in said:
            assert "{" not in caption
            found = set(re.findall(r"[a-z-]+", caption.lower()))
            assert not found & words, caption
            assert not any(" " in word and word in caption.lower() for word in words), caption


def test_a_caption_with_a_held_out_word_is_found() -> None:
    assert holds_out("Two puppies? No: a puppy.") and holds_out("some trousers, some pistols")
    assert holds_out("talking on a mobile phone") and not holds_out("an insectarium, phones")


def test_hands_with_the_documented_fields_alone_are_learnt_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = {"task": "fingers", "fingers": 3, "group": "one", "split": "train"}
    Image.new("RGB", (60, 50), (200, 150, 120)).save(picture := io.BytesIO(), "webp")
    with tarfile.open(tmp_path / "hands.tar", "w") as tar:
        for name, data in (("a.json", json.dumps(info).encode()), ("a.webp", picture.getvalue())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assets.build_photos(tmp_path, tmp_path / "cache")
    tasks = Tasks(tmp_path / "cache", tmp_path, "train", {})
    three = {count: tasks.store.select("fingers", "train") for count in range(6)}
    monkeypatch.setitem(tasks.__dict__, "hands", three)
    monkeypatch.setitem(tasks.__dict__, "scenes", tasks.store.photos)
    for seed in range(5):
        assert tasks.sample("fingers", random.Random(seed), 32).picture.shape == (32, 32, 3)
