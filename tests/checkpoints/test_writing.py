"""What is written reads back as the same model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.clip_config import FIRST, SECOND, read_clip_spec
from galago.checkpoints.folders import CLIP_CONFIG, CONFIG, WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.vlm import open_spec
from galago.checkpoints.vlm_config import read_spec
from galago.checkpoints.writing import (
    every_shape,
    llava_config,
    open_clip_config,
    write_arrays,
    write_llava,
    write_open_clip,
)
from galago.specs import FASTVITHD, ClipSpec, ImageSpec
from tests.helpers.checkpoints import FULL_TEXT, TINY_TEXT, TINY_VISION, random_tensors
from tests.helpers.clips import PUBLISHED, TINY_CLIP


def test_a_published_model_needs_no_block_of_its_own(tmp_path: Path) -> None:
    config = llava_config(FASTVITHD, FULL_TEXT, ImageSpec(1024), end=2)
    assert "galago" not in config
    spec = read_spec(tmp_path, config, every_shape(FASTVITHD, FULL_TEXT))
    assert (spec.vision, spec.text, spec.image) == (FASTVITHD, FULL_TEXT, ImageSpec(1024))
    assert spec.eos_ids == (2,)


def test_another_model_is_spelt_out_with_its_name(tmp_path: Path) -> None:
    image = ImageSpec(320, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), fit="crop")
    arrays = random_tensors(TINY_VISION, TINY_TEXT)
    config = llava_config(TINY_VISION, TINY_TEXT, image, end=7, name="mine")
    write_llava(tmp_path / "folder", arrays, config)
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {CONFIG, WEIGHTS}
    spec = open_spec(tmp_path / "folder")
    assert (spec.name, spec.layout) == ("mine", "galago")
    assert (spec.vision, spec.text, spec.image) == (TINY_VISION, TINY_TEXT, image)
    assert spec.eos_ids == (7,)


@pytest.mark.parametrize(
    "spec",
    [*SECOND, PUBLISHED, TINY_CLIP, replace(SECOND[0], text=replace(SECOND[0].text, context=20))],
    ids=lambda spec: spec.name,
)
def test_a_mobileclip_reads_back(tmp_path: Path, spec: ClipSpec) -> None:
    folder = tmp_path / spec.name
    folder.mkdir()
    config = open_clip_config(spec)
    assert ("galago" in config["model_cfg"]) == (spec is TINY_CLIP)
    (folder / CLIP_CONFIG).write_text(json.dumps(config))
    assert read_clip_spec(folder) == spec


def test_what_open_clip_has_no_words_for_is_not_written(tmp_path: Path) -> None:
    mixers = next(spec for spec in FIRST if spec.text.mixers)
    with pytest.raises(ValueError, match="no text tower like that of MobileCLIP-S0"):
        write_open_clip(tmp_path / "S0", {}, mixers)
    assert not (tmp_path / "S0").exists()


def test_arrays_are_stored_as_their_types_say(tmp_path: Path) -> None:
    arrays = {
        "half": np.arange(6, dtype=np.uint16).reshape(2, 3),
        "bytes": np.arange(-3, 3, dtype=np.int8),
        "count": np.array(7, np.int64),
        "whole": np.array([[0.5], [1.5]], np.float32),
    }
    write_arrays(tmp_path / WEIGHTS, arrays)
    stored = SafetensorsFile(tmp_path / WEIGHTS).tensors
    assert {name: one.dtype for name, one in stored.items()} == {
        "half": "BF16",
        "bytes": "I8",
        "count": "I64",
        "whole": "F32",
    }
    for name, array in arrays.items():
        assert np.array_equal(stored[name].read(), array)
