"""What a dry run shows is what training gets."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError
from galago.specs import ImageSpec
from galago.train.tune.data import DataOptions, Part, load_data
from galago.train.tune.dry_run import contact_sheet, dry_run, stand_apart
from galago.train.tune.labels import Labeller
from tests.helpers.fakes import fake_spec, fake_tokenizer
from tests.helpers.rows import llava, paint, write_json

SPEC = ImageSpec(256)


@pytest.fixture(scope="module")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> Labeller:
    tokenizer = fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return Labeller.of(tokenizer, fake_spec(tokenizer.vocab_size))


def rows(tmp_path: Path, labeller: Labeller, *given: object) -> Part:
    for at in range(9):
        paint(tmp_path / f"{at}.png", at)
    path = write_json(tmp_path / "a.json", list(given))
    return load_data(str(path), labeller, SPEC, DataOptions(held_out=0)).train


def test_it_shows_squares_prompt_and_what_is_learnt(tmp_path: Path, labeller: Labeller) -> None:
    row = llava(["1.png", "2.png"], "Sure?", "Yes <|im_end|>.", question="<image>\n<image>\nSame?")
    (one,) = dry_run(rows(tmp_path, labeller, row), labeller, SPEC)
    assert [square.shape for square in one.squares] == [(256, 256, 3)] * 2
    assert stand_apart(one.spans) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n[picture 1: 16 tokens]\n[picture 2: 16 tokens]\nSame?<|im_end|>\n"
        "<|im_start|>assistant\n{+A cat.<|im_end|>+}\n"
        "<|im_start|>user\nSure?<|im_end|>\n"
        "<|im_start|>assistant\n{+Yes <|im_end|>.<|im_end|>+}"
    )
    example = labeller(rows(tmp_path, labeller, row)[0])
    assert (one.positions, one.learnt, one.cut) == (len(example.ids), example.learnt, 0)
    assert sum(span.picture for span in one.spans) == 2


def test_rows_of_all_over_the_file(tmp_path: Path, labeller: Labeller) -> None:
    many = rows(tmp_path, labeller, *[llava(f"{at}.png", name=at) for at in range(9)])
    shown = dry_run(many, labeller, SPEC)
    assert [one.where for one in shown] == [many[at].where for at in (0, 4, 8)]
    assert len(dry_run(rows(tmp_path, labeller, llava("1.png")), labeller, SPEC)) == 1


def test_a_cut_answer_is_said_to_be(tmp_path: Path, labeller: Labeller) -> None:
    short = replace(labeller, positions=90, cut=True)
    (one,) = dry_run(rows(tmp_path, short, llava("1.png", answer="milk " * 99)), short, SPEC)
    assert one.positions == 90 and one.cut > 50


def test_a_sheet_of_the_very_squares(tmp_path: Path, labeller: Labeller) -> None:
    two = llava(["1.png", "2.png"], question="<image><image>Same?")
    shown = dry_run(
        rows(tmp_path, labeller, two, llava("3.png"), llava(None, question="Hi")), labeller, SPEC
    )
    data = contact_sheet(shown)
    assert data is not None
    sheet = np.asarray(Image.open(io.BytesIO(data)))
    assert sheet.shape == (2 * 272 + 16, 2 * 272 + 16, 3)
    assert np.array_equal(sheet[288:544, 16:272], shown[0].squares[1])
    assert np.array_equal(sheet[16:272, 288:544], shown[1].squares[0])
    assert (sheet[288:544, 288:544] == 255).all()
    assert contact_sheet(shown[2:]) is None


def test_a_picture_that_went_away_is_told(tmp_path: Path, labeller: Labeller) -> None:
    part = rows(tmp_path, labeller, llava("1.png"))
    (tmp_path / "1.png").unlink()
    with pytest.raises(ImageError, match="no such picture: 1.png"):
        dry_run(part, labeller, SPEC)
