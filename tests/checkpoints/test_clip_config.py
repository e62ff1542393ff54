"""open_clip_config.json: the published ones, and what asks for something that galago doesn't do."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.clip_config import PUBLISHED, TRUNKS, read_clip_spec
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.writing import write_arrays
from galago.errors import CheckpointError, GalagoError
from galago.specs import ClipSpec, FastViTSpec
from tests.helpers.changes import change

CHANGES = int(os.environ.get("GALAGO_CHANGES", "25"))


def config_of(spec: ClipSpec) -> dict[str, Any]:
    """As open_clip's own configurations of MobileCLIP are written (model_configs there)."""
    named = next(name for name, trunk in TRUNKS.items() if trunk == spec.vision)
    model = {
        "embed_dim": spec.embed,
        "vision_cfg": {
            "timm_model_name": named, "timm_model_pretrained": False,
            "timm_pool": "avg" if isinstance(spec.vision, FastViTSpec) else "token",
            "timm_proj": None, "timm_drop": 0.0, "timm_drop_path": 0.0,
            "image_size": spec.image.side,
        },
        "text_cfg": {
            "context_length": 77, "vocab_size": 49408, "width": spec.text.width,
            "heads": spec.text.heads, "layers": 12, "no_causal_mask": not spec.text.causal,
        },
        "custom_text": True,
    }  # fmt: skip
    seen = {
        "mean": list(spec.image.mean), "std": list(spec.image.std),
        "interpolation": spec.image.resample, "resize_mode": "shortest",
    }  # fmt: skip
    return {"model_cfg": model, "preprocess_cfg": seen}


def read(folder: Path, *changes: tuple[str, Any]) -> ClipSpec:
    """The spec of MobileCLIP-B's configuration with some fields changed ("text_cfg.heads")."""
    whole = config_of(next(spec for spec in PUBLISHED if spec.name == "MobileCLIP-B"))
    for place, value in changes:
        top, _, rest = place.partition(".")
        inner = whole["preprocess_cfg"] if top == "preprocess_cfg" else whole["model_cfg"]
        if top in ("vision_cfg", "text_cfg"):
            inner = inner[top]
        inner[rest or top] = value
    (folder / CLIP_CONFIG).write_text(json.dumps(whole))
    return read_clip_spec(folder)


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
def test_published_configurations(tmp_path: Path, spec: ClipSpec) -> None:
    if spec.text.mixers:
        pytest.skip("published as a .pt alone")
    folder = tmp_path / spec.name
    folder.mkdir()
    (folder / CLIP_CONFIG).write_text(json.dumps(config_of(spec)))
    assert read_clip_spec(folder) == spec


ASKED: list[tuple[str, Any]] = [
    ("quick_gelu", True), ("multimodal_cfg", {"width": 3}), ("init_logit_bias", -10),
    ("vision_cfg.timm_pool", "map"), ("vision_cfg.timm_proj", "mlp"),
    ("vision_cfg.image_size", [224, 192]), ("vision_cfg.image_size", "224"),
    ("vision_cfg.image_size", 225), ("vision_cfg.timm_model_name", "vit_base_patch16_224"),
    ("text_cfg.pool_type", "eos"), ("text_cfg.pool_type", "last"), ("text_cfg.mlp_ratio", 2.0),
    ("text_cfg.proj_type", "mlp"), ("text_cfg.proj_bias", True), ("text_cfg.embed_cls", True),
    ("text_cfg.act_kwargs", {"approximate": "tanh"}), ("text_cfg.norm_kwargs", {"eps": 1e-6}),
    ("text_cfg.ls_init_value", 1e-5), ("text_cfg.hf_tokenizer_name", "google/t5"),
    ("text_cfg.tokenizer_kwargs", {"clean": "canonicalize"}), ("text_cfg.no_causal_mask", "no"),
    ("text_cfg.heads", 8.0), ("text_cfg.width", True), ("text_cfg.vocab_size", 32000),
    ("embed_dim", 1e300), ("preprocess_cfg.resize_mode", "squash"),
    ("preprocess_cfg.interpolation", "nearest"), ("preprocess_cfg.interpolation", "random"),
    ("preprocess_cfg.size", 256), ("preprocess_cfg.mode", "L"), ("preprocess_cfg.mean", [0, 0]),
    ("preprocess_cfg.mean", "x"), ("preprocess_cfg.std", [True, 1, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), ASKED, ids=lambda part: ascii(part)[:40])
def test_what_galago_does_not_compute(tmp_path: Path, place: str, value: Any) -> None:
    with pytest.raises(CheckpointError) as told:
        read(tmp_path, (place, value))
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("quick_gelu", False), ("init_logit_scale", 4.6), ("vision_cfg.image_size", [224, 224]),
        ("text_cfg.pool_type", "argmax"), ("text_cfg.mlp_ratio", 4.0), ("text_cfg.pad_id", 0),
        ("text_cfg.tokenizer_kwargs", {"clean": "lower"}), ("preprocess_cfg.size", [224, 224]),
        ("preprocess_cfg.mean", 0), ("preprocess_cfg.fill_color", 0),
    ],
)  # fmt: skip
def test_what_changes_nothing(tmp_path: Path, place: str, value: Any) -> None:
    whole = read(tmp_path)
    found = read(tmp_path, (place, value))
    assert (found.text, found.vision, found.image.side) == (
        whole.text, whole.vision, whole.image.side
    )  # fmt: skip


def test_one_number_for_all_colours(tmp_path: Path) -> None:
    image = read(tmp_path, ("preprocess_cfg.mean", 0.5), ("preprocess_cfg.std", 0.25)).image
    assert image.mean == (0.5,) * 3 and image.std == (0.25,) * 3


@pytest.mark.parametrize("name", ["text.transformer.resblocks.0.ls_1.gamma", "logit_bias"])
def test_tensors_that_would_be_left_out(clip_folder: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(clip_folder, tmp_path / "clip"))
    file = SafetensorsFile(folder / CLIP_WEIGHTS)
    arrays = {n: t.read().copy() for n, t in file.tensors.items()}
    write_arrays(folder / CLIP_WEIGHTS, arrays | {"text.attn_mask": np.zeros(3, np.float32)})
    assert open_clip_checkpoint(folder).tensors
    write_arrays(folder / CLIP_WEIGHTS, arrays | {name: np.zeros(3, np.float32)})
    with pytest.raises(CheckpointError, match="has no place for"):
        open_clip_checkpoint(folder)


def test_random_changes_open_or_are_refused_in_a_line(clip_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clip_folder, tmp_path / "clip"))
    text = (folder / CLIP_CONFIG).read_text()
    draw, refused = random.Random("clip"), 0
    for _ in range(CHANGES):
        value = json.loads(text)
        change(value, draw)
        (folder / CLIP_CONFIG).write_text(json.dumps(value))
        try:
            open_clip_checkpoint(folder)
        except GalagoError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500
    assert refused > CHANGES / 3
