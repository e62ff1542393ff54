"""Apple's files of the first generation, which have names of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago import specs
from galago.checkpoints import clip as clip_checkpoint
from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.clip_config import FIRST, PUBLISHED
from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.first_mobileclip import to_open_clip
from galago.checkpoints.safetensors import SafetensorsFile
from galago.clip.mobileclip import MobileCLIP
from galago.engine.clip_sessions import ImageTower
from galago.errors import CheckpointError
from galago.specs import ClipSpec
from tests.helpers.checkpoints import Arrays
from tests.helpers.clips import TINY_MCI, clip_tensors, first_named
from tests.helpers.pickles import write_pt


def first_names(spec: ClipSpec) -> Arrays:
    """Random tensors as the files of the first MobileCLIP name them."""
    return first_named(clip_tensors(spec, seed=3))


VIT = specs.ViTSpec(32, 1, 2, 16, stem="conv", class_position=False, stem_padding=1)
WORDS = specs.ClipTextSpec(32, 2, 1, causal=False)


@pytest.mark.parametrize(
    "spec",
    [
        replace(FIRST[1], vision=TINY_MCI, text=WORDS, embed=16),
        replace(FIRST[3], vision=VIT, text=replace(WORDS, causal=True), embed=16),
        replace(FIRST[0], vision=TINY_MCI, text=replace(WORDS, mixers=True), embed=16),
    ],
    ids=lambda spec: spec.name,
)
def test_the_first_generation_has_names_of_its_own(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_checkpoint, "FIRST", (spec,))
    arrays = first_names(spec)
    checkpoint = open_clip_checkpoint(write_pt(tmp_path / "mobileclip.pt", arrays))
    assert checkpoint.spec == spec and set(checkpoint.tensors) == set(clip_shapes(spec))
    (turned,) = [a for name, a in arrays.items() if re.search(r"(head|classifier)\.proj$", name)]
    (head,) = [t for name, t in checkpoint.tensors.items() if re.search(r"head.*weight$", name)]
    assert np.array_equal(head.read(), turned.T)
    clip = MobileCLIP(checkpoint, precision="fp32")
    assert np.isfinite(clip.embed_texts(["a dog"])).all()
    assert clip.embed_images([np.zeros((80, 90, 3), np.uint8)]).shape == (1, 16)


def test_branches_of_the_first_generation() -> None:
    renamed = {
        "patch_embed.0.rbr_conv.0.conv.weight": "stem.0.conv_kxk.0.conv.weight",
        "patch_embed.2.rbr_skip.bias": "stem.2.identity.bias",
        "network.0.1.token_mixer.layer_scale": "stages.0.blocks.1.token_mixer.layer_scale.gamma",
        "network.0.1.layer_scale": "stages.0.blocks.1.layer_scale.gamma",
        "network.2.0.token_mixer.norm.rbr_skip.weight":
            "stages.1.blocks.0.token_mixer.norm.identity.weight",
        "network.3.proj.0.lkb_origin.bn.bias": "stages.2.downsample.proj.0.large_conv.bn.bias",
        "network.5.proj.0.se.reduce.weight": "stages.3.downsample.proj.0.se.fc1.weight",
        "network.6.pe.weight": "stages.3.pos_emb.pos_enc.weight",
        "network.7.1.convffn.fc1.weight": "stages.3.blocks.1.mlp.fc1.weight",
        "network.7.1.layer_scale_2": "stages.3.blocks.1.layer_scale_2.gamma",
        "conv_exp.rbr_scale.conv.weight": "final_conv.conv_scale.conv.weight",
    }  # fmt: skip
    nothing = SafetensorsFile.__new__(SafetensorsFile)  # only names are looked at
    found = to_open_clip({f"image_encoder.model.{name}": nothing for name in renamed})  # type: ignore[misc]
    assert list(found) == [f"visual.trunk.{name}" for name in renamed.values()]


def test_a_tensor_of_no_known_trunk() -> None:
    nothing = SafetensorsFile.__new__(SafetensorsFile)
    with pytest.raises(CheckpointError, match=r"network\.9"):
        to_open_clip({"image_encoder.model.network.9.0.convffn.fc1.weight": nothing})  # type: ignore[dict-item]


def test_the_first_convolution_is_padded_where_apple_pads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Padded windows of a picture are plain ones of the picture a pixel further."""
    assert [s.vision.stem_padding for s in FIRST if s.vision == specs.VIT_B_MCI_PADDED] == [1, 1]
    assert specs.VIT_B_MCI in [s.vision for s in PUBLISHED]
    spec = replace(FIRST[3], vision=VIT, text=replace(WORDS, causal=True), embed=16)
    monkeypatch.setattr(clip_checkpoint, "FIRST", (spec,))
    padded = open_clip_checkpoint(write_pt(tmp_path / "mobileclip_b.pt", first_names(spec)))
    plain = replace(padded, spec=replace(spec, vision=replace(VIT, stem_padding=0)))
    pixels = np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32)
    moved = np.zeros_like(pixels)
    moved[:, :, 1:, 1:] = pixels[:, :, :-1, :-1]
    found = ImageTower(padded, "fp32")(pixels)
    assert np.allclose(found, ImageTower(plain, "fp32")(moved), atol=1e-5)
    assert not np.allclose(found, ImageTower(plain, "fp32")(pixels), atol=1e-4)
