"""Published MobileCLIPs opened: what a folder lacks is told, and which model a .pt file is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints import clip as clip_checkpoint
from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.writing import open_clip_config
from galago.clip.mobileclip import MobileCLIP
from galago.errors import CheckpointError, GalagoError
from galago.specs import ClipSpec
from tests.helpers.clips import (
    PUBLISHED,
    TINY_MCI,
    clip_tensors,
    published,
    shrink_published,
    tiny_clip,
)
from tests.helpers.pickles import write_pt


@pytest.fixture(scope="module")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("clip") / "published")


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> ClipSpec:
    """Every published model in the shapes of a tiny one; returns these."""
    return shrink_published(monkeypatch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model_cfg"]["vision_cfg"].update(timm_model_name="resnet50"), "resnet50"),
        (lambda c: c["model_cfg"].pop("text_cfg"), "text_cfg"),
        (lambda c: c["model_cfg"]["text_cfg"].update(pool_type="last"), "pool_type"),
        (lambda c: c["preprocess_cfg"].update(interpolation="lanczos"), "lanczos"),
        (lambda c: c["preprocess_cfg"].update(resize_mode="squash"), "squash"),
        (lambda c: c["model_cfg"].update(embed_dim=24), "has shape"),
        (lambda c: c["model_cfg"].update(quick_gelu=True), "quick_gelu"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(timm_pool="token"), "timm_pool"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(image_size=0), "image_size 0"),
        (lambda c: c["model_cfg"]["text_cfg"].update(heads=0), "damaged"),
        (lambda c: c["model_cfg"]["text_cfg"].update(heads=-2), "damaged"),
        (lambda c: c["model_cfg"]["text_cfg"].update(vocab_size=1000), "vocab_size"),
        (lambda c: c["preprocess_cfg"].update(std=[0, 0, 0]), "std"),
        (lambda c: c["model_cfg"]["text_cfg"].update(layers=2), "lacks the tensor"),
    ],
)
def test_a_folder_that_cannot_be_run_is_told(
    published_folder: Path, tmp_path: Path, change: Any, message: str
) -> None:
    altered = open_clip_config(PUBLISHED)
    change(altered)
    (tmp_path / CLIP_CONFIG).write_text(json.dumps(altered))
    (tmp_path / CLIP_WEIGHTS).symlink_to(published_folder / CLIP_WEIGHTS)
    with pytest.raises(CheckpointError, match=message):
        open_clip_checkpoint(tmp_path)


@pytest.mark.parametrize("missing", [CLIP_CONFIG, CLIP_WEIGHTS])
def test_missing_files_are_told(published_folder: Path, tmp_path: Path, missing: str) -> None:
    for name in {CLIP_CONFIG, CLIP_WEIGHTS} - {missing}:
        (tmp_path / name).symlink_to(published_folder / name)
    with pytest.raises(GalagoError, match=missing):
        open_clip_checkpoint(tmp_path)


def test_a_senseless_scale_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="logit_scale"):
        open_clip_checkpoint(tiny_clip(tmp_path, scale=1000.0))


# -- Apple's .pt files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mobileclip2_s2.pt", "MobileCLIP2-S2"),
        ("mobileclip_s2.pt", "MobileCLIP-S2"),
        ("mobileclip_blt.pt", "MobileCLIP-B-LT"),
        ("mobileclip2_l14.pt", "MobileCLIP2-L-14"),
        ("renamed.pt", "MobileCLIP2-S0"),
    ],
)
def test_the_name_of_the_file_tells_equal_shapes_apart(
    file: str, name: str, tmp_path: Path, small_models: ClipSpec
) -> None:
    path = write_pt(tmp_path / file, clip_tensors(small_models))
    assert open_clip_checkpoint(path).spec.name == name
    assert MobileCLIP.load(tmp_path).name == name


def test_a_deeper_model_is_not_taken_for_the_one_inside_of_it(
    tmp_path: Path, small_models: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of S0's trunk (2, 6, 10, 2 blocks) has its like in S1's (4, 12, 20, 4)."""
    deep = replace(TINY_MCI, depths=(2, 2, 2, 2))
    models = (small_models, replace(small_models, name="deep", vision=deep))
    monkeypatch.setattr(clip_checkpoint, "PUBLISHED", models)
    path = write_pt(tmp_path / "mobileclip2_s0.pt", clip_tensors(models[1]))
    assert open_clip_checkpoint(path).spec.name == "deep"


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_what_open_clips_training_leaves(clip_folder: Path, tmp_path: Path, prefix: str) -> None:
    """epoch_5.pt: a state_dict among other things, its names as a wrapped model has them."""
    whole = open_clip_checkpoint(clip_folder)
    file = SafetensorsFile(clip_folder / CLIP_WEIGHTS)
    arrays = {prefix + name: tensor.read() for name, tensor in file.tensors.items()}
    (tmp_path / CLIP_CONFIG).write_bytes((clip_folder / CLIP_CONFIG).read_bytes())
    write_pt(tmp_path / "epoch_5.pt", arrays, under="state_dict")
    found = open_clip_checkpoint(tmp_path)
    assert found.spec.text == whole.spec.text and set(found.tensors) == set(whole.tensors)
    for name, tensor in whole.tensors.items():
        assert np.array_equal(found.tensors[name].read(), tensor.read())
    (tmp_path / "epoch_6.pt").write_bytes((tmp_path / "epoch_5.pt").read_bytes())
    with pytest.raises(CheckpointError, match="several"):
        open_clip_checkpoint(tmp_path)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_a_published_model_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    spec = shrink_published(monkeypatch)
    arrays = {prefix + name: array for name, array in clip_tensors(spec).items()}
    path = write_pt(tmp_path / "epoch_1.pt", arrays, under="state_dict")
    assert open_clip_checkpoint(path).tensors
