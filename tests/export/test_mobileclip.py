"""MobileCLIP's towers as ONNX put things where galago's own put them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.clip import ClipCheckpoint, open_clip_checkpoint
from galago.checkpoints.tensors import InMemory
from galago.engine.clip_sessions import ImageTower, TextTower
from galago.engine.exported import Exported
from galago.errors import ExportError
from galago.export import mobileclip, onnx_folder
from galago.export.mobileclip import CLIP_DTYPES, write_image, write_text
from galago.export.onnx_folder import export_onnx
from galago.hub.resolve import resolve
from galago.specs import ClipSpec, ViTSpec
from tests.helpers.clips import TINY_CLIP, TINY_MCI, clip_tensors, tiny_clip

VIT = ViTSpec(32, 2, 2, 16)
SPECS = {
    "trunk": TINY_CLIP,
    "patches": replace(TINY_CLIP, vision=VIT, image=replace(TINY_CLIP.image, stride=16)),
    "stem": replace(TINY_CLIP, vision=replace(VIT, stem="conv", class_position=False)),
    "padded stem": replace(
        TINY_CLIP, vision=replace(VIT, stem="conv", class_position=False, stem_padding=1)
    ),
    "norm first": replace(TINY_CLIP, vision=replace(VIT, pre_norm=True, eps=1e-5)),
    "causal": replace(TINY_CLIP, text=replace(TINY_CLIP.text, causal=True)),
    # As deep as MobileCLIP2-S2's.
    "deep trunk": replace(TINY_CLIP, vision=replace(TINY_MCI, depths=(4, 12, 24, 4))),
    "mixers": replace(TINY_CLIP, text=replace(TINY_CLIP.text, mixers=True)),
}


def _checkpoint(spec: ClipSpec) -> ClipCheckpoint:
    named = {n.replace(".in_proj_", ".in_proj."): a for n, a in clip_tensors(spec).items()}
    tensors = {n: InMemory("F32", a.shape, a) for n, a in named.items()}
    return ClipCheckpoint(spec, tensors, 3.0)


def _ids(spec: ClipSpec) -> np.ndarray:
    end, ids = spec.text.vocab - 1, np.zeros((3, spec.text.context), np.int64)
    for row, length in zip(ids, (2, 9, spec.text.context), strict=True):
        row[: length - 1] = np.arange(1, length)
        row[length - 1] = end
    return ids


@pytest.mark.parametrize("kind", SPECS)
def test_towers(kind: str, tmp_path: Path) -> None:
    checkpoint, exact = _checkpoint(SPECS[kind]), CLIP_DTYPES["fp32"]
    spec = checkpoint.spec
    pixels = np.random.default_rng(0).random((2, 3, spec.image.side, spec.image.side), np.float32)
    write_image(checkpoint, exact, tmp_path / "image.onnx")
    write_text(checkpoint, exact, tmp_path / "text.onnx")
    images = Exported(tmp_path / "image.onnx").run({"pixel_values": pixels})["image_embeds"]
    texts = Exported(tmp_path / "text.onnx").run({"input_ids": _ids(spec)})["text_embeds"]
    for ours, theirs in (
        (ImageTower(checkpoint, "fp32")(pixels), images),
        (TextTower(checkpoint, "fp32")(_ids(spec)), texts),
    ):
        assert ours.std(axis=0).max() > 1e-4  # they tell inputs apart
        np.testing.assert_allclose(theirs, ours, atol=2e-5 * np.abs(ours).max())


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
def test_narrow_storage(dtype: str, tmp_path: Path) -> None:
    checkpoint = _checkpoint(SPECS["causal"])
    write_text(checkpoint, CLIP_DTYPES[dtype], tmp_path / "text.onnx")
    found = Exported(tmp_path / "text.onnx").run({"input_ids": _ids(checkpoint.spec)})
    ours = TextTower(checkpoint, "fp32")(_ids(checkpoint.spec))
    np.testing.assert_allclose(found["text_embeds"], ours, atol=0.05 * np.abs(ours).max())


def test_a_whole_folder(tmp_path: Path) -> None:
    model = resolve(tiny_clip(tmp_path / "model"))
    made = export_onnx(model, ["fp32", "q8"], tmp_path / "out")
    assert [proof.passed for proof in made.proofs] == [True, True] and made.largest is None
    assert sorted(path.name for path in (made.folder / "onnx").iterdir()) == [
        "text_model.onnx",
        "text_model_quantized.onnx",
        "vision_model.onnx",
        "vision_model_quantized.onnx",
    ]
    config = json.loads((made.folder / "config.json").read_text())
    assert config["model_type"] == "clip" and config["logit_scale_init_value"] == 3.0
    card = (made.folder / "README.md").read_text()
    assert "| q8 |" in card and "exp(3.0000)" in card
    tokens = json.loads((made.folder / "tokenizer.json").read_text())
    start, end = (one["id"] for one in tokens["added_tokens"])
    assert (start, end) == (512, 513)


def test_one_that_strays_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = open_clip_checkpoint(tiny_clip(tmp_path / "other", seed=9))
    monkeypatch.setattr(
        onnx_folder, "write_text", lambda _, *rest: mobileclip.write_text(other, *rest)
    )
    with pytest.raises(ExportError, match="strays from its source and was not kept: fp32: FAILED"):
        export_onnx(resolve(tiny_clip(tmp_path / "model")), ["fp32"], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "other"]
