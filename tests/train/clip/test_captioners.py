"""Captions drawn the same for the same seed (a CoCa needs torch and open_clip)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import OptionError
from galago.train.clip.captioners import load_captioner, nucleus
from tests.helpers.captioners import COCA, TEXT, write_config


def test_the_nucleus_is_the_likeliest_that_hold_so_much() -> None:
    logits = np.log(np.array([0.05, 0.5, 0.3, 0.15]))
    rng = np.random.default_rng(0)
    drawn = [nucleus(logits, 0.75, rng) for _ in range(2000)]
    assert {*drawn} == {1, 2}
    assert np.mean([one == 1 for one in drawn]) == pytest.approx(5 / 8, abs=0.05)
    assert {nucleus(logits, 0.85, rng) for _ in range(500)} == {1, 2, 3}
    assert {nucleus(logits, 0.1, rng) for _ in range(50)} == {1}


@pytest.mark.parametrize("name", ("somebody", "open_clip:", "galago:"))
def test_a_name_of_neither_kind_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="is not known: use open_clip:coca_"):
        load_captioner(name)


def test_a_coca_writes_the_same_for_the_same_seed(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    open_clip.add_model_config(write_config(tmp_path))
    captioner = load_captioner("open_clip:coca_tiny")
    picture = Image.new("RGB", (40, 30), "red")
    first = captioner.captions(picture, 3, 7)
    assert len(first) == 3 and all(first) and len({*first}) == 3
    assert load_captioner("open_clip:coca_tiny").captions(picture, 3, 7) == first
    assert captioner.captions(picture, 1, 8) == first[1:2]


def test_a_model_that_writes_nothing_is_refused(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    small = {key: value for key, value in COCA.items() if key != "multimodal_cfg"}
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    small |= {"vision_cfg": vision, "text_cfg": TEXT}
    (tmp_path / "clip_tiny.json").write_text(json.dumps(small))
    open_clip.add_model_config(tmp_path / "clip_tiny.json")
    with pytest.raises(OptionError, match="clip_tiny writes no captions"):
        load_captioner("open_clip:clip_tiny")
