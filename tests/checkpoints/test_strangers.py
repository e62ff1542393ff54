"""Folders that are something else than a FastVLM: what they are is said, not "fetch it again"."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.folders import CLIP_WEIGHTS, CONFIG, WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import Entry
from galago.checkpoints.vlm import open_checkpoint
from galago.checkpoints.writing import write_arrays, write_runs
from galago.errors import CheckpointError
from galago.text.tokens import load_tokenizer

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))


def arrays_of(folder: Path) -> dict[str, np.ndarray]:
    """In memory, as the file is written anew."""
    return {n: t.read().copy() for n, t in SafetensorsFile(folder / WEIGHTS).tensors.items()}


def told(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as refused:
        open_checkpoint(folder)
    line = str(refused.value)
    assert "\n" not in line and "again" not in line and len(line) < 400


def test_pointers_of_git_lfs(folder: Path, clip_folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).write_text(POINTER)
    told(folder, "pointer of Git LFS.*git lfs pull")
    (folder / "tokenizer.json").write_text(POINTER)
    with pytest.raises(CheckpointError, match="pointer of Git LFS"):
        load_tokenizer(folder)
    (folder / "mobileclip_s0.pt").write_text(POINTER)
    other = Path(shutil.copytree(clip_folder, tmp_path / "clip"))
    (other / CLIP_WEIGHTS).write_text(POINTER)
    for path in (folder / "mobileclip_s0.pt", other):
        with pytest.raises(CheckpointError, match="pointer of Git LFS"):
            open_clip_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("adapter_config.json", "LoRA adapter.*merge it"),
        ("adapter_model.safetensors", "LoRA adapter.*merge it"),
        ("FastVLM.gguf", r"llama\.cpp"),
        ("pytorch_model.bin", "never opens; save the model as safetensors"),
        ("fastvithd.mlpackage", "exported model"),
        ("decoder_model_merged.onnx", "exported model"),
    ],
)
def test_other_files(folder: Path, name: str, match: str) -> None:
    (folder / WEIGHTS).unlink()
    (folder / name).write_text("{}")
    told(folder, match)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("model.layers.0.self_attn.q_proj.lora_A.default.weight", "LoRA adapter.*merge it"),
        ("base_model.model.lm_head.weight", "as PEFT does"),
        ("model.layers.0.self_attn.q_norm.weight", "no place for"),
        ("model.layers.0.self_attn.o_proj.bias", "no place for"),
        ("model.layers.7.input_layernorm.weight", "no place for"),
        ("model.mm_projector.4.weight", "no place for"),
    ],
)
def test_other_tensors(folder: Path, name: str, match: str) -> None:
    """What was left out changes every answer, and nothing else told of it."""
    arrays = arrays_of(folder)
    write_arrays(folder / WEIGHTS, arrays | {name: np.zeros(3, np.float32)})
    told(folder, match)


def test_tensors_that_mean_nothing(folder: Path) -> None:
    arrays = arrays_of(folder)
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.zeros(3, np.float32)}
    write_arrays(folder / WEIGHTS, arrays | more)
    assert open_checkpoint(folder).tensors


def test_models_for_mlx(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    quantised = config | {"quantization": {"group_size": 64, "bits": 4}}
    (folder / CONFIG).write_text(json.dumps(quantised))
    told(folder, "is a model for MLX: take the one it was made from")
    (folder / CONFIG).write_text(json.dumps(config))
    arrays = arrays_of(folder)
    plan = {name: Entry("BF16", array.shape) for name, array in arrays.items()}
    write_runs(folder / WEIGHTS, plan, lambda name, _: (arrays[name],), {"format": "mlx"})
    told(folder, "is a model for MLX")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module.module."])
def test_names_of_wrapped_models(folder: Path, prefix: str) -> None:
    whole = open_checkpoint(folder).tensors
    arrays = arrays_of(folder)
    write_arrays(folder / WEIGHTS, {prefix + name: array for name, array in arrays.items()})
    found = open_checkpoint(folder).tensors
    assert list(found) == list(whole)
