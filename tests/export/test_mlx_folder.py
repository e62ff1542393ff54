"""Folders for MLX hold the same numbers in its shapes and groups; one that strays isn't kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.folders import WEIGHTS
from galago.checkpoints.names import PROJECTOR, VISION
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import read_float, to_bf16, widen
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.errors import CheckpointError, ExportError, OptionError, StorageError
from galago.export import figures, mlx_folder, mlx_weights, shards
from galago.export.affine import dequantise, quantise
from galago.export.mlx_folder import MlxMade, export_mlx
from galago.hub.resolve import ResolvedModel, resolve
from tests.helpers.checkpoints import TINY_TEXT, TINY_VISION, tiny_llava

NANO = resolve("fastvlm-nano", offline=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return resolve(tiny_llava(tmp_path_factory.mktemp("source") / "tiny"))


@cache
def _asked(folder: Path, what: Callable[[Checkpoint], object]) -> object:
    """What a source says, once."""
    return what(open_checkpoint(folder))


@pytest.fixture(autouse=True)
def asked_once(model: ResolvedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short answers, as each token costs; of the sources once."""
    monkeypatch.setattr(figures, "_TOKENS", 3)
    monkeypatch.setattr(figures, "_QUESTIONS", ("describe",))
    for name in ("reference_of", "answers_of"):
        real = getattr(mlx_folder, name)

        def once(source: Checkpoint, *_: object, real: Any = real) -> object:
            known = source.folder in (model.folder, NANO.folder)
            return _asked(source.folder, real) if known else real(source)

        monkeypatch.setattr(mlx_folder, name, once)


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without answers, where they aren't what is looked at."""
    monkeypatch.setattr(mlx_folder, "answers_of", lambda _: None)


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    found = SafetensorsFile(folder / WEIGHTS)
    assert found.metadata == {"format": "mlx"}
    return {name: one.read() for name, one in found.tensors.items()}


@pytest.mark.parametrize("dtype", ["bf16", "8bit", "4bit"])
def test_nano_says_the_same(dtype: str, tmp_path: Path) -> None:
    made = export_mlx("whole", NANO, [dtype], tmp_path / "a b")
    (proof,) = made.proofs
    assert proof.passed and proof.asked == 3 and proof.error < 0.01
    assert proof.same == 3 or dtype == "4bit"
    assert f"| {dtype} |" in (made.folder / "README.md").read_text()
    assert any("mlx-vlm has FastViTHD's depths" in one for one in made.remarks)
    assert [one.name for one in tmp_path.iterdir()] == ["a b"]


def test_nano_for_the_app(tmp_path: Path) -> None:
    made = export_mlx("app", NANO, ["8bit"], tmp_path / "out")
    config = json.loads((made.folder / "config.json").read_text())
    assert (config["vocab_size"], config["image_token_index"]) == (769, 768)
    assert any("this model has 36 of 768" in one for one in made.remarks)
    tensors = _tensors(made.folder)
    assert tensors["language_model.model.embed_tokens.scales"].shape == (769, 4)
    assert not any(name.startswith("vision_tower") for name in tensors)


@pytest.fixture
def exact(model: ResolvedModel, tmp_path: Path) -> MlxMade:
    return export_mlx("whole", model, ["bf16"], tmp_path / "out")


def test_names_and_shapes(exact: MlxMade, model: ResolvedModel) -> None:
    source, tensors = open_checkpoint(model.folder).tensors, _tensors(exact.folder)
    kernel = source[f"{VISION}patch_embed.0.reparam_conv.weight"].read()
    stem = "vision_tower.vision_model.patch_embed.blocks.0.reparam_conv.weight"
    np.testing.assert_array_equal(tensors[stem], kernel.transpose(0, 2, 3, 1))
    scale = "network.0.0.layer_scale"
    assert tensors[f"vision_tower.vision_model.{scale}"].shape == (1, 1, 8)
    two = source[f"{PROJECTOR}2.weight"].read()
    np.testing.assert_array_equal(tensors["mm_projector.2.weight"], two)
    assert "language_model.lm_head.weight" not in tensors
    assert tensors["vision_tower.vision_model.head.proj"].shape == (128, 1)
    assert len(tensors) == len(source) + 1
    assert exact.proofs[0].error == 0.0  # bf16 was stored, and is

    with pytest.raises(CheckpointError, match="is a model for MLX"):
        open_checkpoint(exact.folder)


def test_configuration(exact: MlxMade) -> None:
    config = json.loads((exact.folder / "config.json").read_text())
    assert config["vision_config"]["pos_embs_shapes"] == [None, None, None, [7, 7], [7, 7]]
    assert config["vision_config"]["mlp_ratios"] == [2] * 5 and "quantization" not in config
    assert (config["image_token_index"], config["eos_token_id"]) == (-200, 2)
    assert config["tie_word_embeddings"] is True
    sees = json.loads((exact.folder / "preprocessor_config.json").read_text())
    assert sees["processor_class"] == "FastVLMProcessor"
    assert sees["crop_size"] == {"height": 256, "width": 256}


@pytest.mark.usefixtures("unasked")
def test_an_own_output_layer(tmp_path: Path) -> None:
    source = tiny_llava(tmp_path / "source", text=replace(TINY_TEXT, tied=False))
    made = export_mlx("app", resolve(source), ["8bit"], tmp_path / "out")
    config = json.loads((made.folder / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    assert config["quantization"] == {"group_size": 64, "bits": 8, "mode": "affine"}
    tensors = _tensors(made.folder)
    assert tensors["language_model.lm_head.weight"].dtype == np.uint32
    assert "multi_modal_projector.linear_0.weight" in tensors


@pytest.mark.parametrize("bits", [4, 8])
def test_groups_of_64(bits: int) -> None:
    weight = np.random.default_rng(0).standard_normal((6, 192), np.float32)
    weight = widen(to_bf16(weight), "BF16")
    packed, scales, biases = quantise(weight, bits)
    assert (packed.shape, scales.shape) == ((6, 192 * bits // 32), (6, 3))
    found = dequantise(packed, scales, biases, bits)
    step = np.repeat(widen(scales, "BF16"), 64, axis=1)
    assert (np.abs(found - weight) <= step).all()
    assert np.sqrt(((found - weight) ** 2).mean()) < 0.32 * step.mean()  # a uniform error's: 0.29
    first = packed[0, 0] & np.uint32((1 << bits) - 1)  # the lowest bits are the first number's
    start = widen(biases, "BF16")[0, 0]
    assert found[0, 0] == np.float32(first) * step[0, 0] + start


def test_groups_of_one_number() -> None:
    for value in (0.0, 0.375, -2.5):
        weight = np.full((2, 64), value, np.float32)
        np.testing.assert_array_equal(dequantise(*quantise(weight, 4), 4), weight)


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize("part", ["_turned", "quantise"])
def test_one_that_strays_is_not_kept(
    part: str, model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(mlx_weights, part)

    def wrong(*given: object) -> object:
        found = real(*given)
        if part == "quantise":
            return found[0], found[1], found[2][::-1]
        return found[::-1] if found.ndim == 4 else found

    monkeypatch.setattr(mlx_weights, part, wrong)
    with pytest.raises(ExportError, match="strays from its source and was not kept: 8bit: "):
        export_mlx("whole", model, ["8bit"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unasked")
def test_a_wrong_configuration_is_not_kept(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mlx_folder._config
    monkeypatch.setattr(mlx_folder, "_config", lambda *a: real(*a) | {"rope_theta": 1e4})
    with pytest.raises(ExportError, match=r"config\.json reads"):
        export_mlx("whole", model, ["bf16"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [{"mlp_ratios": (2.5,) * 5}, {"head_dim": 16}])
def test_a_trunk_that_mlx_has_not(change: dict[str, object], tmp_path: Path) -> None:
    source = tiny_llava(tmp_path / "source", vision=replace(TINY_VISION, **change))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="--to mlx-app leaves the trunk to a Core ML package"):
        export_mlx("whole", resolve(source), ["bf16"], tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["source"]


def test_a_full_disk(model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards.SafetensorsWriter, "append", full)
    with pytest.raises(StorageError, match="is full: make room and run the same command again"):
        export_mlx("app", model, ["4bit"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_dtype_a_folder(model: ResolvedModel, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"dear")
    with pytest.raises(OptionError, match="has one dtype: name one of bf16, 8bit, 4bit, fp32"):
        export_mlx("whole", model, ["bf16", "4bit"], tmp_path / "out")
    with pytest.raises(OptionError, match="is there already"):
        export_mlx("whole", model, ["bf16"], tmp_path / "mine")


@pytest.mark.usefixtures("unasked")
def test_what_was_quantised_is_near(model: ResolvedModel, tmp_path: Path) -> None:
    made = export_mlx("app", model, ["8bit"], tmp_path / "out")
    name = "model.layers.1.mlp.down_proj"
    tensors = _tensors(made.folder)
    parts = [tensors[f"language_model.{name}.{one}"] for one in ("weight", "scales", "biases")]
    wanted = read_float(open_checkpoint(model.folder).tensors[f"{name}.weight"])
    assert np.abs(dequantise(*parts, 8) - wanted).max() <= widen(parts[1], "BF16").max()
