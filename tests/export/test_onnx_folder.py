"""A folder is whole and proved, or not there; what was interrupted is continued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from galago.checkpoints.names import VISION
from galago.checkpoints.vlm import open_checkpoint
from galago.convert.selfcheck import Reference, judge, reference_of
from galago.errors import ExportError, OptionError, StorageError
from galago.export import fastvlm, figures, onnx_folder
from galago.export.fastvlm import DTYPES, GRAPHS, file_name
from galago.export.figures import Answers, Proof, answers_of
from galago.export.onnx_folder import export_onnx
from galago.export.overflow import measure
from galago.hub.resolve import ResolvedModel, resolve
from tests.helpers.checkpoints import (
    TINY_TEXT,
    TINY_VISION,
    random_tensors,
    tiny_llava,
    write_safetensors,
)

PASSED = Proof("q8", judge([], [], "int8"), 0.0, 0, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return resolve(tiny_llava(tmp_path_factory.mktemp("source") / "tiny"))


@pytest.fixture(scope="module")
def asked(model: ResolvedModel) -> tuple[Reference, Answers | None]:
    """What the source says: short answers, as each token costs."""
    source = open_checkpoint(model.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_TOKENS", 3)
        return reference_of(source), answers_of(source)


@pytest.fixture(autouse=True)
def asked_once(asked: tuple[Reference, Answers | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_TOKENS", 3)
    monkeypatch.setattr(onnx_folder, "reference_of", lambda *_: asked[0])
    monkeypatch.setattr(onnx_folder, "answers_of", lambda *_: asked[1])


@pytest.fixture(scope="module")
def made(model: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With nothing set aside."""
    out = tmp_path_factory.mktemp("out") / "two words"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_TOKENS", 3)
        return export_onnx(model, ["q8", "fp32"], out).folder


def _left(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


def test_a_whole_folder(made: Path) -> None:
    assert _left(made) == ["two words"]
    assert sorted(path.name for path in made.iterdir()) == [
        "README.md",
        "config.json",
        "galago-export.json",
        "generation_config.json",
        "onnx",
        "preprocessor_config.json",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    wanted = {file_name(graph, DTYPES[name]) for graph in GRAPHS for name in ("q8", "fp32")}
    assert {path.name for path in (made / "onnx").iterdir()} == wanted


def test_configuration(made: Path) -> None:
    config = json.loads((made / "config.json").read_text())
    assert config["image_token_index"] == 259  # the tokenizer has one
    assert config["head_dim"] * config["num_attention_heads"] == config["hidden_size"] == 64
    assert config["transformers.js_config"] == {
        "kv_cache_dtype": {},
        "use_external_data_format": {},
    }
    assert json.loads((made / "generation_config.json").read_text())["eos_token_id"] == [2]
    tokens = json.loads((made / "tokenizer.json").read_text())["added_tokens"]
    assert [one["id"] for one in tokens if one["content"] == "<image>"] == [259]


def test_the_figures_stand_in_the_card(made: Path) -> None:
    card = (made / "README.md").read_text()
    proofs = json.loads((made / "galago-export.json").read_text())["proofs"]
    assert [one["dtype"] for one in proofs] == ["q8", "fp32"]
    for one in proofs:
        assert f"| {one['dtype']} |" in card and f"{one['same']} of {one['asked']}" in card
    exact = proofs[1]
    assert exact["passed"] and exact["same"] == exact["asked"] == 6 and exact["error"] < 1e-5


def test_what_was_not_compared_is_said(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_folder, "answers_of", lambda *_: None)
    made = export_onnx(model, ["q8"], tmp_path / "out")
    line = "nswers were not compared: the source in float32 did not fit the memory"
    assert made.remarks[-1] == f"a{line}" and f"A{line}" in (made.folder / "README.md").read_text()


def test_a_template_that_asks_as_galago_does(made: Path) -> None:
    template = json.loads((made / "tokenizer_config.json").read_text())["chat_template"]
    jinja = pytest.importorskip("jinja2")
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}]
    said = jinja.Template(template).render(messages=messages, add_generation_prompt=True)
    assert said == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_folder_that_is_there_stays(model: ResolvedModel, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "photo.jpg").write_bytes(b"dear")
    with pytest.raises(OptionError, match="is there already"):
        export_onnx(model, ["q8"], out)
    assert _left(out) == ["mine"] and (out / "photo.jpg").read_bytes() == b"dear"


@pytest.mark.parametrize("graph", ["write_vision", "write_decoder"])
def test_an_export_that_strays_is_not_kept(
    graph: str, model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_checkpoint(tiny_llava(tmp_path / "other", seed=7))
    real = getattr(fastvlm, graph)
    monkeypatch.setattr(onnx_folder, graph, lambda _, *rest: real(other, *rest))
    with pytest.raises(ExportError, match="strays from its source and was not kept: q8: .*FAILED"):
        export_onnx(model, ["q8"], tmp_path / "out")
    assert _left(tmp_path / "out") == ["other"]


def test_what_was_stopped_is_continued(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real_vision, real_decoder = fastvlm.write_vision, fastvlm.write_decoder

    def vision(source: object, dtype: fastvlm.Dtype, path: Path, wide: str | None) -> int:
        written.append(dtype.name)
        return real_vision(source, dtype, path, wide)  # type: ignore[arg-type]

    def stopped(source: object, dtype: fastvlm.Dtype, path: Path) -> int:
        path.write_bytes(b"half")
        path.with_name(f".{path.name}").write_bytes(b"a part that was read back")
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_folder, "write_vision", vision)
    monkeypatch.setattr(onnx_folder, "write_decoder", stopped)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        export_onnx(model, ["q8"], out)
    assert not out.exists() and written == ["fp32", "q8"]
    monkeypatch.setattr(onnx_folder, "write_decoder", real_decoder)
    export_onnx(model, ["q8"], out)
    assert _left(out) == ["out"] and written == ["fp32", "q8"]
    kept = {path.name for path in (out / "onnx").iterdir()}
    assert kept == {file_name(graph, DTYPES["q8"]) for graph in GRAPHS}


def test_a_check_that_was_stopped_is_continued(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved: list[str] = []
    real = onnx_folder.prove

    def stopped(folder: Path, dtype: fastvlm.Dtype, *rest: Any) -> Proof:
        if dtype.name == "q8" and not proved[1:]:
            proved.append("stopped")
            raise KeyboardInterrupt
        proved.append(dtype.name)
        return real(folder, dtype, *rest)

    monkeypatch.setattr(onnx_folder, "prove", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(model, ["int8", "q8"], tmp_path / "out")
    monkeypatch.setattr(onnx_folder, "reference_of", None)  # nobody asks again
    made = export_onnx(model, ["int8", "q8"], tmp_path / "out")
    assert proved == ["int8", "stopped", "q8"]
    assert [(proof.dtype, proof.passed) for proof in made.proofs] == [("int8", True), ("q8", True)]
    assert not list(made.folder.glob("*asked*"))


def test_how_far_it_is_written_is_told(model: ResolvedModel, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    export_onnx(model, ["q8"], tmp_path / "out", lambda *stage: told.append(stage))
    shares = [share for stage, share in told if stage == "writing q8"]
    assert shares == sorted(shares) and len(set(shares)) > 100
    assert shares[0] == 0 and shares[-1] == 1 and shares[-2] > 0.9


def test_another_source_is_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_llava(tmp_path / "source")
    real = fastvlm.write_decoder

    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_folder, "write_decoder", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(resolve(source), ["q8"], tmp_path / "out")
    monkeypatch.setattr(onnx_folder, "write_decoder", real)
    shutil.rmtree(source)
    changed = resolve(tiny_llava(source, seed=3))
    monkeypatch.setattr(onnx_folder, "prove", lambda *_: PASSED)
    export_onnx(changed, ["q8"], tmp_path / "out")
    q8 = DTYPES["q8"]
    name = file_name(GRAPHS[0], q8)
    fastvlm.write_vision(open_checkpoint(source), q8, tmp_path / name, None)
    assert (tmp_path / "out" / "onnx" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_full_disk(model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_folder, "write_embedding", full)
    with pytest.raises(StorageError, match="is full: make room and run the same command again"):
        export_onnx(model, ["q8"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("layer", "stage"),
    [
        ("network.3.proj.1.reparam_conv.bias", "network.3"),
        ("conv_exp.reparam_conv.bias", "conv_exp"),
        ("patch_embed.1.reparam_conv.bias", "vision_encoder"),
    ],
)
def test_a_provoked_overflow_is_kept_in_float32(layer: str, stage: str, tmp_path: Path) -> None:
    folder = tiny_llava(tmp_path / "loud", dtype="F32")
    tensors = random_tensors(TINY_VISION, TINY_TEXT)
    tensors[VISION + layer] = tensors[VISION + layer] + np.float32(70_000)
    write_safetensors(folder / "model.safetensors", tensors, "F32")
    checkpoint = open_checkpoint(folder)
    exact, half = DTYPES["fp32"], DTYPES["fp16"]
    fastvlm.write_vision(checkpoint, exact, tmp_path / "exact.onnx", None)
    pixels = [np.random.default_rng(0).random((1, 3, 256, 256), np.float32)]
    found = measure(tmp_path / "exact.onnx", checkpoint.spec.vision, pixels)
    assert found.wide_from == stage and found.most > 60_000
    fastvlm.write_vision(checkpoint, half, tmp_path / "half.onnx", found.wide_from)
    graph = onnx.load(tmp_path / "half.onnx").graph
    halves = {one.name for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT16}
    assert not any(one.startswith(f"{stage}.") for one in halves)
    assert bool(halves) == (stage != "vision_encoder")
