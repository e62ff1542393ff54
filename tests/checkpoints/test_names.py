"""Names of tensors: galago's own, timm's and transformers', there and back."""

from __future__ import annotations

from galago import specs
from galago.checkpoints.names import (
    HEAD,
    VISION,
    fast_vlm_to_llava,
    llava_to_fast_vlm,
    llava_to_timm,
    projector_shapes,
    text_shapes,
    timm_to_llava,
    vision_shapes,
)


def test_names_go_both_ways() -> None:
    for spec in (specs.MCI0, specs.MCI3):
        for name in vision_shapes(spec):
            assert timm_to_llava(llava_to_timm(name, spec), spec) == name


def test_fast_vlm_names_go_both_ways() -> None:
    spec = specs.FASTVITHD
    text = specs.Qwen2Spec(64, 128, 2, 4, 2, 320, tied=False)
    names = [VISION + n for n in vision_shapes(spec)]
    names += [*text_shapes(text), *projector_shapes(3072, (64, 64))]
    for name in names:
        theirs = llava_to_fast_vlm(name, spec)
        assert fast_vlm_to_llava(theirs, spec) == name
        assert theirs != name or name == HEAD


def test_published_names() -> None:
    """A few names as they stand in apple/FastVLM-0.5B and in its transformers twin."""
    shapes = vision_shapes(specs.FASTVITHD)
    assert shapes["network.6.reparam_conv.weight"] == (768, 1, 7, 7)
    assert shapes["network.8.proj.0.lkb_reparam.weight"] == (1536, 1, 7, 7)
    assert shapes["network.10.1.token_mixer.qkv.weight"] == (4608, 1536)
    assert shapes["conv_exp.se.reduce.weight"] == (192, 3072, 1, 1)
    name = llava_to_fast_vlm(VISION + "network.0.1.layer_scale", specs.FASTVITHD)
    assert name == "model.vision_tower.timm_model.stages.0.blocks.1.layer_scale.gamma"
