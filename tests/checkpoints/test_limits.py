"""Configurations whose numbers no model can have: refused in a line, before memory is taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.folders import CLIP_CONFIG, CONFIG
from galago.checkpoints.vlm import open_checkpoint
from galago.errors import CheckpointError
from galago.memory import peak_memory


def changed(source: Path, to: Path, name: str, keys: tuple[str, ...], value: Any) -> Path:
    """A copy of a model folder with one value of its configuration changed."""
    shutil.copytree(source, to)
    config = json.loads((to / name).read_text())
    inner = config
    for key in keys[:-1]:
        inner = inner[key]
    assert keys[-1] in inner
    inner[keys[-1]] = value
    (to / name).write_text(json.dumps(config))
    return to


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("num_hidden_layers",), 10**9),
        (("num_hidden_layers",), 0),
        (("rms_norm_eps",), float("inf")),
        (("rms_norm_eps",), 0),
        (("rope_theta",), float("nan")),
        (("galago", "vision", "depths"), [1, 10**9, 1, 1, 1]),
        (("galago", "vision", "depths"), []),
        (("galago", "vision", "head_dim"), 0),
        (("galago", "vision", "head_dim"), "32"),
        (("galago", "vision", "downsample_act"), 1),
        (("galago", "vision", "exp_ratio"), 2.3),
        (("galago", "image", "side"), 10**9),
        (("galago", "image", "side"), 4096),
        (("galago", "image", "max_side"), 4096),
        (("galago", "image", "std"), [0, 1, 1]),
        (("galago", "image", "std"), [1e-4, 1, 1]),
        (("galago", "image", "std"), [11, 1, 1]),
        (("galago", "image", "mean"), [9e8, 0, 0]),
        (("galago", "image", "mean"), [0, 0, -11]),
    ],
)
def test_fastvlm(tiny: Path, tmp_path: Path, keys: tuple[str, ...], value: Any) -> None:
    folder, before = changed(tiny, tmp_path / "tiny", CONFIG, keys, value), peak_memory()
    with pytest.raises(CheckpointError, match=r"config\.json (is incomplete|cannot be read)"):
        open_checkpoint(folder)
    assert peak_memory() < before + (50 << 20)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("text_cfg", "layers"), 10**9),
        (("galago", "vision", "depths"), [10**9, 1, 1, 1]),
        (("galago", "vision", "norm"), "none"),
        (("preprocess_cfg", "mean"), [0, 11, 0]),
        (("preprocess_cfg", "std"), [1e-40, 1e-40, 1e-40]),
        (("preprocess_cfg", "std"), [1, 1, 11]),
    ],
)
def test_mobileclip(clip_folder: Path, tmp_path: Path, keys: tuple[str, ...], value: Any) -> None:
    keys = keys if keys[0] == "preprocess_cfg" else ("model_cfg", *keys)
    folder = changed(clip_folder, tmp_path / "clip", CLIP_CONFIG, keys, value)
    before = peak_memory()
    with pytest.raises(CheckpointError, match=r"open_clip_config\.json"):
        open_clip_checkpoint(folder)
    assert peak_memory() < before + (50 << 20)
