"""What models are asked, and the key that an answer is kept under."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.clip.mobileclip import MobileCLIP
from galago.errors import ImageError, OptionError
from galago.evaluate.asking import Answer, ClipAsker, VlmAsker, key_of
from galago.evaluate.items import Asking, items_of
from galago.rows.read import read_data
from galago.text.tokens import Tokenizer
from galago.vlm.sampling import SamplingOptions
from tests.helpers.evaluations import items_in
from tests.helpers.fakes import fake_vlm, looks
from tests.helpers.rows import paint

ROWS = [
    {"image": "a.png", "question": "What?", "answer": "red"},
    {"image": "a.png", "question": "Why?", "answer": "so"},
    {"image": "b.png", "question": "What?", "answer": "red"},
]


def test_a_fastvlm_says_what_it_says_elsewhere(tmp_path: Path, tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    asker = VlmAsker(vlm, 12)
    for item in items_in(tmp_path, ROWS):
        found = asker.ask(item)
        path = tmp_path / item.row.pictures[0].name
        options = SamplingOptions(max_tokens=12)
        assert found.said == vlm.ask(path, item.question, options).strip()
        assert 0 < found.confidence <= 1 and found.known is None and found.seconds > 0
        assert found.finish == "length" and found.best == ()


def test_a_picture_is_looked_at_once(tmp_path: Path, tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    asker = VlmAsker(vlm, 2)
    for item in items_in(tmp_path, ROWS):
        asker.ask(item)
    assert len(looks(vlm)) == 2


def test_what_decides_an_answer(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer)
    settings = VlmAsker(vlm, 12).identity
    assert settings["precision"] == "fp32" and settings["identity"] == vlm.identity
    assert settings["resolution"] == vlm.resolution
    assert VlmAsker(vlm, 12, "auto").identity != settings != VlmAsker(vlm, 13).identity


def test_a_mobileclip_chooses_a_label(tmp_path: Path, clip_folder: Path) -> None:
    for label in ("cat", "dog", "tree"):
        paint(tmp_path / label / "1.png", len(label))
    clip = MobileCLIP.load(clip_folder)
    found = items_of(read_data(str(tmp_path)), Asking())
    asker = ClipAsker(clip, found.labels)
    for item in found.items:
        shares = clip.classify(tmp_path / item.row.where, found.labels)
        said = asker.ask(item)
        assert said.said == said.best[0] == found.labels[shares.index(max(shares))]
        assert said.confidence == pytest.approx(max(shares)) and {*said.best} == {*found.labels}
    other = ClipAsker(clip, found.labels, "plain").identity
    assert asker.identity != other != ClipAsker(clip, found.labels[1:], "plain").identity


def test_a_label_is_of_one_picture(tmp_path: Path, clip_folder: Path) -> None:
    paint(tmp_path / "a.png")
    rows = [{"image": ["a.png", "a.png"], "question": "Which?", "answer": "a"}]
    (tmp_path / "x.jsonl").write_text(str(rows[0]).replace("'", '"'))
    (item,) = items_of(read_data(str(tmp_path / "x.jsonl"), several=True), Asking()).items
    with pytest.raises(OptionError, match="x.jsonl:1: a label is of one picture"):
        ClipAsker(MobileCLIP.load(clip_folder), ["a"]).ask(item)


def test_a_key_is_of_every_byte_and_every_word(tmp_path: Path) -> None:
    one, why, other = items_in(tmp_path, ROWS)
    assert len({key_of(one), key_of(why), key_of(other)}) == 3
    assert key_of(one.behind("In a word.")) != key_of(one)
    before = key_of(one)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    again = items_in(moved, [ROWS[0] | {"answer": "blue"}])[0]
    assert key_of(again) == before  # neither where it lies nor what is right
    with open(tmp_path / "a.png", "ab") as file:
        file.write(b" ")
    assert key_of(one) != before
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match="no such picture: a.png"):
        key_of(one)


def test_an_answer_comes_back_from_json() -> None:
    for one in (
        Answer("a", 0.5, None, False, 0.1, "end"),
        Answer("b", 1, 0.3, True, 2, "", ("b",)),
    ):
        assert Answer.from_json(one.to_json()) == one
