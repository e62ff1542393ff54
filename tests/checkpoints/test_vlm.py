"""Model folders: layouts agree, and every kind of damage is one clear line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.names import (
    EMBEDDING,
    HEAD,
    PROJECTOR,
    VISION,
    projector_shapes,
    text_shapes,
    vision_shapes,
)
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.vlm import open_checkpoint
from galago.convert.load import load_sessions
from galago.convert.write import convert
from galago.engine import quantise
from galago.errors import CheckpointError
from galago.specs import FASTVITHD
from tests.helpers.checkpoints import (
    TINY_TEXT,
    TINY_VISION,
    random_tensors,
    tiny_fast_vlm,
    tiny_llava,
    write_safetensors,
)
from tests.helpers.places import DATA

FORMATS = DATA / "fastvlm-0.5b.tsv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder to damage."""
    return tiny_llava(tmp_path / "tiny")


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        open_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_llava(tiny: Path) -> None:
    opened = open_checkpoint(tiny)
    assert opened.spec.layout == "galago"
    assert opened.spec.vision == TINY_VISION
    assert opened.spec.text == TINY_TEXT
    assert opened.spec.image.side == 256 and opened.spec.image.fit == "pad"
    assert opened.spec.eos_ids == (2,)
    assert [path.name for path in opened.files] == ["tokenizer.json"]
    assert opened.identity["model.safetensors"] == (tiny / "model.safetensors").stat().st_size
    table = opened.tensors[EMBEDDING]
    assert (table.dtype, table.shape) == ("BF16", (320, 64))
    assert table.read().dtype == np.uint16


@pytest.mark.parametrize("shards", [1, 3])
def test_fast_vlm_is_the_same_model(tiny: Path, tmp_path: Path, shards: int) -> None:
    ours = open_checkpoint(tiny)
    theirs = open_checkpoint(tiny_fast_vlm(tmp_path / "theirs", shards=shards))
    assert theirs.spec.layout == "fast_vlm"
    assert theirs.spec.image.fit == "crop"
    assert theirs.spec.prompt.image_token_id == 259
    assert (theirs.spec.vision, theirs.spec.text) == (ours.spec.vision, ours.spec.text)
    assert set(theirs.tensors) == set(ours.tensors)
    for name, tensor in ours.tensors.items():
        assert np.array_equal(tensor.read(), theirs.tensors[name].read()), name


def test_published_configuration(folder: Path) -> None:
    """Apple's own config has no galago block: the tower's name says trunk and side."""

    def change(config: dict[str, Any]) -> None:
        del config["galago"]
        config["mm_vision_tower"] = "mobileclip_l_1024"

    edit(folder / "config.json", change)
    # The tiny trunk is not FastViTHD, which the shapes tell at once.
    refused(folder, r"has shape .* but the configuration asks for")


def test_every_published_tensor_is_known() -> None:
    if not FORMATS.is_file():
        pytest.skip("the list of published tensors is not here")
    listed: dict[str, tuple[int, ...]] = {}
    for line in FORMATS.read_text().splitlines()[1:]:
        name, _, shape = line.split("\t")
        listed[name] = () if shape == "scalar" else tuple(int(n) for n in shape.split("x"))
    text = dataclasses.replace(
        TINY_TEXT, hidden=896, intermediate=4864, layers=24, heads=14, vocab=151936, tied=False
    )
    wanted = text_shapes(text) | projector_shapes(3072, (896, 896))
    wanted |= {VISION + n: s for n, s in vision_shapes(FASTVITHD).items()}
    ignored = {n for n in listed if n.endswith(("num_batches_tracked", "head.proj"))}
    assert {n: s for n, s in listed.items() if n not in ignored} == wanted


def test_the_tensors_decide_whether_tied(tmp_path: Path) -> None:
    arrays = random_tensors(TINY_VISION, TINY_TEXT)
    folder = tiny_llava(tmp_path / "tiny")
    for head, tied in ((arrays[EMBEDDING], True), (arrays[EMBEDDING] * 2, False)):
        write_safetensors(folder / "model.safetensors", arrays | {HEAD: head})
        assert open_checkpoint(folder).spec.text.tied is tied


@pytest.mark.parametrize(
    "name",
    [
        EMBEDDING,
        "model.norm.weight",
        "model.layers.1.self_attn.k_proj.bias",
        VISION + "network.7.0.norm.weight",
        VISION + "network.0.0.convffn.conv.bn.running_var",
        PROJECTOR + "2.weight",
    ],
)
def test_missing_tensor_is_named(folder: Path, name: str) -> None:
    arrays = random_tensors(TINY_VISION, TINY_TEXT)
    del arrays[name]
    write_safetensors(folder / "model.safetensors", arrays)
    refused(folder, name.replace(".", r"\."))


def test_wrong_shape_is_named(folder: Path) -> None:
    arrays = random_tensors(TINY_VISION, TINY_TEXT)
    name = "model.layers.0.mlp.up_proj.weight"
    arrays[name] = arrays[name][:-1]
    write_safetensors(folder / "model.safetensors", arrays)
    refused(folder, r"up_proj\.weight has shape \[127, 64\].*\[128, 64\]")


def test_integers_for_weights_are_refused(folder: Path) -> None:
    arrays = random_tensors(TINY_VISION, TINY_TEXT)
    arrays["model.norm.weight"] = np.zeros(64, np.int64)
    write_safetensors(folder / "model.safetensors", arrays)
    refused(folder, "model.norm.weight is I64")


def test_own_models_may_be_int8(folder: Path) -> None:
    """Matrices and kernels in int8 with a scale a row: read as float32, within half a step."""
    arrays = random_tensors(TINY_VISION, TINY_TEXT)
    small: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim < 2 or "layer_scale" in name:
            small[name] = array
            continue
        values, scale = quantise.int8_rows(array.reshape(array.shape[0], -1))
        small |= {name: values.reshape(array.shape), f"{name}.scale": scale}
    write_safetensors(folder / "model.safetensors", small)
    opened = open_checkpoint(folder)
    for name in (EMBEDDING, VISION + "network.10.0.convffn.fc1.weight"):
        tensor = opened.tensors[name]
        assert (tensor.dtype, tensor.shape) == ("F32", arrays[name].shape)
        step = np.abs(small[f"{name}.scale"]).max()
        assert np.abs(tensor.read() - arrays[name]).max() <= step / 2 + 1e-6
    sessions = load_sessions(opened)
    assert sessions.language.embed([5]).dtype == np.float32
    # What is read is made for the reader; the self-check's graphs must not outlive it.
    assert convert(opened, folder.parent / "converted", "fp32").kl < 1e-6
    del small["model.embed_tokens.weight.scale"]
    write_safetensors(folder / "model.safetensors", small)
    refused(folder, "model.embed_tokens.weight is I8")


def test_truncated_file(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(folder, "cut short")


def test_no_folder_and_no_files(tmp_path: Path, folder: Path) -> None:
    refused(tmp_path / "nowhere", "no config.json")
    (folder / "model.safetensors").unlink()
    refused(folder, "no model.safetensors")


def test_pickles_are_never_opened(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    refused(folder, "never opens")


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_damaged_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, "config.json")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("model_type", "llama", "llama"),
        ("model_type", None, "None"),
        ("mm_projector_type", "linear", "linear"),
        ("use_sliding_window", True, "sliding"),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4}, "yarn"),
        ("hidden_size", "wide", "config.json"),
        ("num_attention_heads", 0, "config.json"),
        ("num_attention_heads", 5, "config.json"),
        ("num_key_value_heads", 3, "config.json"),
        ("num_hidden_layers", 3, r"model\.layers\.2"),
        ("galago", {"format": 9}, "update galago"),
        ("galago", {"format": 1}, "config.json"),
        ("galago", "x", "config.json"),
    ],
)
def test_unsuitable_config(folder: Path, key: str, value: object, match: str) -> None:
    edit(folder / "config.json", lambda config: config.update({key: value}))
    refused(folder, match)


def test_an_impossible_trunk(folder: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["galago"]["vision"]["head_dim"] = 0

    edit(folder / "config.json", change)
    refused(folder, "config.json")


def test_weights_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        SafetensorsFile(tmp_path)  # a folder stands for what the system refuses to read


@pytest.mark.parametrize(
    ("told", "positions"),
    [
        ({}, 8192),
        ({"max_position_embeddings": 32768}, 8192),
        ({"max_position_embeddings": 32768, "tokenizer_model_max_length": 16384}, 16384),
        ({"max_position_embeddings": 2048, "tokenizer_model_max_length": 8192}, 2048),
    ],
)
def test_positions_are_those_it_was_trained_with(
    folder: Path, told: dict[str, int], positions: int
) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["tokenizer_model_max_length"]
    path.write_text(json.dumps(config | told))
    assert open_checkpoint(folder).spec.text.positions == positions


def test_positions_are_written_and_read_again(tmp_path: Path) -> None:
    text = dataclasses.replace(TINY_TEXT, positions=16384)
    assert open_checkpoint(tiny_llava(tmp_path / "long", text=text)).spec.text == text


def test_unknown_tower(folder: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        del config["galago"]
        config["mm_vision_tower"] = "openai/clip-vit-large-patch14-336"

    edit(folder / "config.json", change)
    refused(folder, "clip-vit-large")


def test_missing_shard_is_named(tmp_path: Path) -> None:
    folder = tiny_fast_vlm(tmp_path / "theirs", shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    refused(folder, "model-00002-of-00003")


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": {"a": "../x"}}])
def test_damaged_index(tmp_path: Path, index: dict[str, Any]) -> None:
    folder = tiny_fast_vlm(tmp_path / "theirs", shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "index.json")


def test_every_end_token_counts(folder: Path) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    assert open_checkpoint(folder).spec.eos_ids == (2, 0)
