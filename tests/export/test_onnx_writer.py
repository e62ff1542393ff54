"""Networks written as ONNX say what galago's own graphs say, whatever their shape and storage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from galago.checkpoints.names import text_shapes
from galago.checkpoints.tensors import InMemory, read_float
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.load import load_sessions
from galago.engine.exported import Exported
from galago.engine.quantise import int8_rows
from galago.export import fastvlm, tensor_data
from galago.export.fastvlm import DTYPES, GRAPHS, Dtype, file_name
from galago.export.quantise import blocks
from galago.export.readback import ExportedLanguage, ExportedVision
from galago.specs import FastViTSpec, Qwen2Spec
from tests.helpers.checkpoints import FULL_TEXT, TINY_TEXT, TINY_VISION, tiny_fast_vlm, tiny_llava

FP32 = DTYPES["fp32"]
# As the smaller trunks of the family: batch norms, gates between stages, four of them.
SMALL = FastViTSpec(
    depths=(1, 1, 1, 1),
    widths=(8, 16, 32, 32),
    mixers=("repmixer", "repmixer", "repmixer", "attention"),
    mlp_ratios=(2.0,) * 4,
    se_downsamples=(False, False, True, True),
    norm="batch",
)


def _write(folder: Path, checkpoint: Checkpoint, dtype: str = "fp32") -> Path:
    one = DTYPES[dtype]
    rows = checkpoint.spec.text.vocab + 1
    folder.mkdir(exist_ok=True)
    fastvlm.write_vision(checkpoint, one, folder / file_name(GRAPHS[0], one), None)
    fastvlm.write_embedding(checkpoint, one, folder / file_name(GRAPHS[1], one), rows)
    fastvlm.write_decoder(checkpoint, one, folder / file_name(GRAPHS[2], one))
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(tiny_llava(tmp_path_factory.mktemp("export") / "tiny"))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(1).random((1, 3, 256, 192), np.float32)


@pytest.mark.parametrize("vision", [TINY_VISION, SMALL], ids=["large build", "small build"])
def test_vision(vision: FastViTSpec, tmp_path: Path, pixels: np.ndarray) -> None:
    checkpoint = open_checkpoint(tiny_llava(tmp_path / "model", vision=vision, dtype="F32"))
    ours = load_sessions(checkpoint, "fp32").vision.encode(pixels)
    theirs = ExportedVision(_write(tmp_path / "onnx", checkpoint), FP32).encode(pixels)
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(theirs, ours, atol=1e-5 * np.abs(ours).max())


@pytest.mark.parametrize(
    "text", [TINY_TEXT, replace(TINY_TEXT, kv_heads=4, tied=False, rope_theta=1e4)]
)
def test_decoder_by_its_cache(text: Qwen2Spec, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_llava(tmp_path / "model", text=text))
    sessions = load_sessions(checkpoint, "fp32")
    exported = ExportedLanguage(_write(tmp_path / "onnx", checkpoint), FP32, text)
    ids = np.random.default_rng(0).integers(0, 320, 90)
    np.testing.assert_array_equal(exported.embed(ids), sessions.language.embed(ids))
    ours, theirs = sessions.language.new_cache(), exported.new_cache()
    rows = sessions.language.embed(ids)
    for run in (rows[:70], rows[70:71], rows[71:]):  # across the step of the rotary tables
        expected = ours.append(run)
        np.testing.assert_allclose(theirs.append(run), expected, atol=2e-5 * np.abs(expected).max())
    theirs.truncate(10)
    ours.truncate(10)
    np.testing.assert_allclose(theirs.append(rows[:3]), ours.append(rows[:3]), atol=1e-3)


@pytest.mark.parametrize("dtype", ["fp16", "int8", "q8", "q4", "q4f16"])
def test_narrow_storage_is_rounding_and_nothing_else(
    dtype: str, tiny: Checkpoint, tmp_path: Path, pixels: np.ndarray
) -> None:
    one = DTYPES[dtype]
    _write(tmp_path, tiny, dtype)
    ours = load_sessions(tiny, "fp32").vision.encode(pixels)
    assert _cosine(ours, ExportedVision(tmp_path, one).encode(pixels)) > 0.999
    language = ExportedLanguage(tmp_path, one, tiny.spec.text)
    rows = language.embed(range(40, 60))
    expected = load_sessions(_rounded(tiny, one), "fp32").language.new_cache().append(rows)
    assert _cosine(expected, language.new_cache().append(rows)) > 0.9999


def test_a_wide_decoder_in_4_bits_is_its_rounded_source(tmp_path: Path) -> None:
    """0.5B's widths: against the source itself random weights in 4 bits prove nothing."""
    text = replace(FULL_TEXT, layers=1, vocab=TINY_TEXT.vocab)
    source = open_checkpoint(tiny_llava(tmp_path / "model", text=text))
    four = DTYPES["q4"]
    language = ExportedLanguage(_write(tmp_path / "onnx", source, "q4"), four, text)
    rows = language.embed(range(40, 60))
    found = language.new_cache().append(rows)
    expected = load_sessions(_rounded(source, four), "fp32").language.new_cache().append(rows)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def _rounded(checkpoint: Checkpoint, dtype: Dtype) -> Checkpoint:
    """With the decoder's matrices as this dtype stores them."""
    tensors: dict[str, Any] = dict(checkpoint.tensors)
    for name in text_shapes(checkpoint.spec.text):
        array = read_float(tensors[name])
        if array.ndim == 2 and dtype.decoder.bits:
            array = _back(*blocks(array, dtype.decoder.bits, 32), array.shape)
        elif array.ndim == 2 and dtype.decoder.int8:
            values, scale = int8_rows(array)
            array = values * scale
        tensors[name] = InMemory("F32", array.shape, np.ascontiguousarray(array, np.float32))
    return replace(checkpoint, tensors=tensors)


def _back(packed: np.ndarray, scale: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What blocks stand for."""
    bits = 8 * packed.shape[-1] // 32
    if bits == 4:
        packed = np.stack([packed & 0x0F, packed >> 4], -1).reshape(*packed.shape[:2], 32)
    values = (packed.astype(np.float32) - 2 ** (bits - 1)) * scale[..., None]
    return values.reshape(len(packed), -1)[:, : shape[1]]


def test_layouts_give_one_export(tmp_path: Path, pixels: np.ndarray) -> None:
    found = []
    for make in (tiny_llava, tiny_fast_vlm):
        checkpoint = open_checkpoint(make(tmp_path / make.__name__))
        folder = _write(tmp_path / f"{make.__name__}-onnx", checkpoint)
        found.append([(folder / file_name(graph, FP32)).read_bytes() for graph in GRAPHS])
    assert found[0] == found[1]


def test_weights_beside_a_large_graph(
    tiny: Checkpoint, tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ExportedVision(_write(tmp_path / "whole", tiny), FP32).encode(pixels)
    monkeypatch.setattr(tensor_data, "_INSIDE", 10_000)
    monkeypatch.setattr(tensor_data, "_CHUNK", 100_000)
    folder = _write(tmp_path / "parts", tiny)
    name = file_name(GRAPHS[0], FP32)
    parts = sorted(path.name for path in folder.glob(f"{name}_data*"))
    assert parts[:2] == [f"{name}_data", f"{name}_data_1"] and len(parts) > 3
    assert max((folder / part).stat().st_size for part in parts) <= 100_000
    np.testing.assert_array_equal(ExportedVision(folder, FP32).encode(pixels), whole)
    assert not list((tmp_path / "whole").glob("*_data*"))


def test_names_shapes_and_types_are_transformers_js(tiny: Checkpoint, tmp_path: Path) -> None:
    _write(tmp_path, tiny, "q4f16")
    graph = onnx.load(tmp_path / file_name(GRAPHS[2], DTYPES["q4f16"])).graph
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    # The empty cache is made from these: all but the batch and the length must be numbers.
    assert shapes["past_key_values.1.value"] == ["batch_size", 2, "past_sequence_length", 16]
    assert set(shapes) == {
        "inputs_embeds",
        "attention_mask",
        *(f"past_key_values.{n}.{part}" for n in (0, 1) for part in ("key", "value")),
    }
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    assert kinds["inputs_embeds"] == onnx.TensorProto.FLOAT
    assert kinds["past_key_values.0.key"] == onnx.TensorProto.FLOAT16
    assert graph.output[0].name == "logits"
    # What 3.7's WebGPU splits wrongly, or has no kernel for.
    operators = {node.op_type for node in graph.node}
    assert not operators & {"GatherBlockQuantized", "MatMulInteger"}


def test_the_row_of_a_picture_is_zeros(tiny: Checkpoint, tmp_path: Path) -> None:
    rows = tiny.spec.text.vocab
    for dtype in ("fp32", "fp16", "int8"):
        _write(tmp_path, tiny, dtype)
        table = Exported(tmp_path / file_name(GRAPHS[1], DTYPES[dtype]))
        found = table.run({"input_ids": np.array([[rows]], np.int64)})["inputs_embeds"]
        assert not found.any()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("columns", [64, 70])
def test_blocks_round_to_the_nearest_step(bits: int, columns: int) -> None:
    matrix = np.random.default_rng(0).normal(size=(5, columns)).astype(np.float32)
    matrix[2] = 0
    packed, scale = blocks(matrix, bits, 32)
    assert packed.shape == (5, -(-columns // 32), 32 * bits // 8)
    back = _back(packed, scale, matrix.shape)
    assert np.abs(back - matrix).max() <= np.abs(scale).max() * 1.01
    np.testing.assert_array_equal(back[2], 0)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
