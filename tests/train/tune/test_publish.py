"""Merged folders: what learnt is new, the rest is the base's, byte for byte; every layout opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.names import EMBEDDING, PROJECTOR
from galago.checkpoints.tensors import read_float
from galago.checkpoints.vlm import open_checkpoint
from galago.errors import SelfCheckError
from galago.places import MODELS
from galago.train.tune.publish import write_merged
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava

CHANGED = f"{PROJECTOR}0.weight"


def sharded(folder: Path) -> Path:
    return tiny_fast_vlm(folder, shards=2)


def nano(folder: Path) -> Path:
    return MODELS / "fastvlm-nano"


@pytest.mark.parametrize("base", [tiny_llava, tiny_fast_vlm, sharded, nano])
def test_only_what_learnt_changes(tmp_path: Path, base: Callable[[Path], Path]) -> None:
    source = open_checkpoint(base(tmp_path / "base"))
    new = read_float(source.tensors[CHANGED]) + np.float32(0.25)
    out = tmp_path / "out"
    out.mkdir()
    write_merged(source, {CHANGED: new}, out, "mine", source.spec.image.side)
    made = open_checkpoint(out)
    assert np.abs(read_float(made.tensors[CHANGED]) - new).max() < 0.01
    for name, tensor in source.tensors.items():
        if name != CHANGED:
            assert (read_float(made.tensors[name]) == read_float(tensor)).all(), name
    assert made.spec.text == source.spec.text and made.spec.image == source.spec.image
    assert made.spec.name in ("mine", "out")


def test_a_tied_table_stays_one(tmp_path: Path) -> None:
    source = open_checkpoint(tiny_llava(tmp_path / "base"))
    out = tmp_path / "out"
    out.mkdir()
    table = read_float(source.tensors[EMBEDDING]) * 2
    write_merged(source, {EMBEDDING: table}, out, "mine", source.spec.image.side)
    assert open_checkpoint(out).spec.text.tied


def test_a_weight_that_is_no_number_is_not_written(tmp_path: Path) -> None:
    source = open_checkpoint(tiny_llava(tmp_path / "base"))
    bad = read_float(source.tensors[CHANGED]) * np.float32("nan")
    (tmp_path / "out").mkdir()
    with pytest.raises(SelfCheckError, match="can't hold"):
        write_merged(source, {CHANGED: bad}, tmp_path / "out", "mine", 256)


@pytest.mark.parametrize("base", [tiny_llava, tiny_fast_vlm, nano])
def test_another_side_is_what_it_opens_with(tmp_path: Path, base: Callable[[Path], Path]) -> None:
    source = open_checkpoint(base(tmp_path / "base"))
    out = tmp_path / "out"
    out.mkdir()
    write_merged(source, {}, out, "mine", 512)
    assert open_checkpoint(out).spec.image == source.spec.image.with_side(512)


def test_every_place_of_transformers_says_the_side(tmp_path: Path) -> None:
    base, out = tiny_fast_vlm(tmp_path / "base"), tmp_path / "out"
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"image_seq_length": 16}))
    nested = {"image_processor": {"size": {"shortest_edge": 256}}}
    (base / "processor_config.json").write_text(json.dumps(nested))
    out.mkdir()
    write_merged(open_checkpoint(base), {}, out, "mine", 512)
    assert json.loads((out / "config.json").read_text())["image_seq_length"] == 64
    told = json.loads((out / "processor_config.json").read_text())
    assert told == {"image_processor": {"size": {"shortest_edge": 512}}}
    told = json.loads((out / "preprocessor_config.json").read_text())
    assert told["crop_size"] == {"height": 512, "width": 512}
