"""Packages for Core ML: as Apple's programs ask for them, proved by running what was saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="needs the extra coreml")

from galago import memory
from galago.bench.vlm.shapes import SHAPES
from galago.checkpoints.names import EMBEDDING
from galago.checkpoints.tensors import read_float
from galago.checkpoints.vlm import open_checkpoint
from galago.convert.selfcheck import Reference, reference_of
from galago.engine.mil import Package, Port
from galago.errors import ExportError, OptionError, StorageError
from galago.export import coreml_folder, figures
from galago.export.coreml import write_embedding
from galago.export.coreml_folder import APP_TRUNK, clip_name, export_coreml, need, trunk_name
from galago.export.coreml_proof import CoreMLCache, expect
from galago.export.figures import Answers, answers_of
from galago.hub.resolve import ResolvedModel, resolve
from tests.helpers.checkpoints import tiny_llava
from tests.helpers.clips import tiny_clip
from tests.helpers.once import once


@pytest.fixture(scope="module")
def model(tiny: Path) -> ResolvedModel:
    return resolve(tiny)


@pytest.fixture(scope="module")
def asked(model: ResolvedModel) -> tuple[Reference, Answers | None]:
    source = open_checkpoint(model.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_TOKENS", 3)
        return reference_of(source, whole=True), answers_of(source, whole=True)


@pytest.fixture(autouse=True)
def asked_once(asked: tuple[Reference, Answers | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_TOKENS", 3)
    monkeypatch.setattr(coreml_folder, "reference_of", lambda *_, **__: asked[0])
    monkeypatch.setattr(coreml_folder, "answers_of", lambda *_, **__: asked[1])


@pytest.fixture(scope="module")
def made(
    model: ResolvedModel,
    asked: tuple[Reference, Answers | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """In fp16 and int8, written once for all processes that test."""

    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(figures, "_TOKENS", 3)
            patch.setattr(coreml_folder, "reference_of", lambda *_, **__: asked[0])
            patch.setattr(coreml_folder, "answers_of", lambda *_, **__: asked[1])
            export_coreml(True, model, ["fp16", "int8"], folder / "two words")

    return once(tmp_path_factory, "coreml-made", write) / "two words"


@pytest.fixture
def ready_made(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trunk, projector and table are copied: how they are written is no matter here."""
    for name in ("vision", "projector", "embedding"):
        monkeypatch.setattr(coreml_folder, f"write_{name}", _copier(made))


def _copier(made: Path) -> Callable[..., None]:
    return lambda *given: shutil.copytree(made / given[-1].name, given[-1]) and None


def test_a_whole_folder(made: Path) -> None:
    assert [path.name for path in made.parent.iterdir()] == ["two words"]
    assert {path.name for path in made.iterdir()} == {
        "README.md", "chat_template.jinja", "galago-export.json", "galago.json",
        "tokenizer.json", "tokenizer_config.json", "projector.mlpackage",
        "trunk_16x128.mlpackage", "embed_tokens_fp16.mlpackage", "embed_tokens_int8.mlpackage",
        "decoder_fp16.mlpackage", "decoder_int8.mlpackage",
    }  # fmt: skip
    about = json.loads((made / "galago.json").read_text())
    assert about["side"] == 256 and about["image_tokens"] == 16 and about["eos_ids"] == [2]


def test_figures(made: Path) -> None:
    proofs = json.loads((made / "galago-export.json").read_text())["proofs"]
    card = (made / "README.md").read_text()
    assert [one["dtype"] for one in proofs] == ["fp16", "int8"]
    for one in proofs:
        assert one["passed"] and one["error"] < 1e-3 and one["asked"] == 6
        assert f"| {one['dtype']} |" in card
    assert proofs[0]["same"] == 6 and proofs[0]["kl"] < proofs[1]["kl"]


def test_four_bits(model: ResolvedModel, tmp_path: Path) -> None:
    """Within a step of what they were, each in its place; random weights say nothing in int4."""
    source = open_checkpoint(model.folder)
    write_embedding(source, 4, tmp_path / "table.mlpackage")
    ids = np.arange(source.spec.text.vocab, dtype=np.int32)[None]
    rows = Package(tmp_path / "table.mlpackage").run({"input_ids": ids})["inputs_embeds"][0]
    table = read_float(source.tensors[EMBEDDING])
    groups = table.reshape(len(table), -1, 32)
    step = np.abs(groups).max(-1, keepdims=True) / 8
    error = np.abs(rows.reshape(groups.shape) - groups)
    assert (error <= 1.01 * step).all() and error.mean() < 0.3 * step.mean()


def test_the_ports_of_a_trunk_and_a_decoder(made: Path) -> None:
    trunk = Package(made / "trunk_16x128.mlpackage")
    assert trunk.target == 7  # iOS 16
    assert trunk.inputs == {"images": Port("float32", (1, 3, 256, 256))}
    assert trunk.outputs == {"image_features": Port("float32", (1, 16, 128))}
    decoder = Package(made / "decoder_int8.mlpackage")
    free = (1, 2048)
    assert decoder.target == 9  # iOS 18: states
    assert decoder.inputs == {
        "inputs_embeds": Port("float16", (1, free, 64)),
        "causal_mask": Port("float16", (1, 1, free, free)),
    }
    assert set(decoder.states) == {"key_cache", "value_cache"}
    with pytest.raises(ExportError, match=r"other inputs or outputs"):
        expect(trunk, made, {**trunk.inputs, "image_feature": trunk.outputs["image_features"]})


def test_the_state_carries_what_was_said(made: Path, asked: tuple[Reference, object]) -> None:
    """All at once, and one by one: the same words follow, in every layer from the same cache."""
    decoder = Package(made / "decoder_fp16.mlpackage")
    sequence = asked[0].sequences[0][:12]
    whole, steps = CoreMLCache(decoder), CoreMLCache(decoder)
    at_once = whole.append(sequence)
    one_by_one = steps.append_all(sequence)[-1]
    assert np.abs(at_once - one_by_one).max() < 0.02 * np.abs(at_once).max()
    steps.truncate(6)
    again = steps.append(sequence[6:])
    assert np.abs(again - at_once).max() < 0.02 * np.abs(at_once).max()
    other = CoreMLCache(decoder).append(sequence[6:])
    assert np.abs(other - at_once).max() > 0.05 * np.abs(at_once).max()


def test_a_trunk_that_the_app_cannot_take(model: ResolvedModel, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"256 tokens of 3072.*16 of 128: --to coreml-own"):
        export_coreml(False, model, ["int8"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_memory_that_is_not_there(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_checkpoint(model.folder)
    assert need(source, "fp16") > need(source, "int8")
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(OptionError, match=r"takes about 1 GB of memory and 0 GB are free"):
        export_coreml(True, model, ["int8"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_memory_of_the_published_sizes(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/export-apps.md tells of 7B, and that it is said before anything is written."""
    source, found = open_checkpoint(model.folder), {}
    for name, shape in SHAPES.items():
        large = replace(source, spec=replace(source.spec, text=shape.text))
        found[name] = [round(need(large, dtype) / 1e9) for dtype in ("fp16", "int4")]
    assert found["7B"] == [20, 13] and found["0.5B"] == [3, 2]
    told: list[str] = []
    monkeypatch.setattr(coreml_folder, "write_vision", _stop)
    with pytest.raises(KeyboardInterrupt):
        export_coreml(True, model, ["int8"], tmp_path / "out", lambda *given: told.append(given[0]))
    assert told == [
        "writing takes about 0.7 GB of memory, the check with answers more",
        "writing trunk_16x128",
    ]


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_one_that_strays_is_not_kept(
    model: ResolvedModel, ready_made: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(source: object, bits: int | None, path: Path) -> None:
        other = tiny_llava(tmp_path / "other", seed=1)
        real(open_checkpoint(other), bits, path)

    real = coreml_folder.write_decoder
    monkeypatch.setattr(coreml_folder, "write_decoder", wrong)
    with pytest.raises(ExportError, match=r"strays"):
        export_coreml(True, model, ["int8"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_stopped_and_continued(
    model: ResolvedModel, ready_made: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C keeps what is whole; a full disk is told; the next try writes only what lacks."""
    out, real, written = tmp_path / "out", coreml_folder.write_decoder, []

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(coreml_folder, "write_decoder", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_coreml(True, model, ["int8"], out)
    assert [path.name for path in tmp_path.iterdir()] == [".out.galago-export"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(coreml_folder, "write_decoder", full)
    with pytest.raises(StorageError, match=r"is full: make room and run the same command again"):
        export_coreml(True, model, ["int8"], out)

    monkeypatch.setattr(coreml_folder, "write_decoder", real)
    monkeypatch.setattr(coreml_folder, "write_vision", lambda *_: written.append("vision"))
    assert export_coreml(True, model, ["int8"], out).folder == out
    assert not written and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_names() -> None:
    def called(name: str) -> str:
        return clip_name(ResolvedModel(name, Path()))

    assert called("apple/MobileCLIP-S0-OpenCLIP") == "mobileclip_s0"
    assert called("timm/MobileCLIP2-S4-OpenCLIP") == "mobileclip2_s4"
    assert called("apple/MobileCLIP-B-LT-OpenCLIP") == "mobileclip_blt"
    assert called("/home/ada/my photos 2/") == "my_photos_2"
    assert called("2026-clip") == "clip_2026_clip"


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_towers(dtype: str, tmp_path: Path) -> None:
    model = resolve(tiny_clip(tmp_path / "my clip"))
    made = export_coreml(False, model, [dtype], tmp_path / "out")
    assert made.proofs[0].passed
    image = Package(made.folder / "my_clip_image.mlpackage")
    text = Package(made.folder / "my_clip_text.mlpackage")
    assert image.inputs["image"].kind == "image" and list(image.outputs) == ["final_emb_1"]
    assert text.inputs == {"text": Port("int32", (1, 77))}
    grey = np.full((1, *image.inputs["image"].shape), 127, np.float32)
    (part,) = image.parts(1 << 40)
    assert part.run({"image": grey}) and (part.largest > 0) == (dtype == "fp16")
    with pytest.raises(OptionError, match=r"one dtype a folder"):
        export_coreml(False, model, ["fp32", "fp16"], tmp_path / "both")


def test_the_app_takes_fastvlm(model: ResolvedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_checkpoint(model.folder)
    monkeypatch.setattr(coreml_folder, "_seen", lambda _: (256, 3072))
    assert trunk_name(source, any_trunk=False) == APP_TRUNK == "fastvithd"
