"""Shapes of the published trunks and the limits of a resolution."""

from __future__ import annotations

import pytest

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
from galago.errors import OptionError
from galago.specs import ImageSpec


@pytest.mark.parametrize("side", [256, 320, 1024, 1536])
def test_resolution_allowed(side: int) -> None:
    spec = ImageSpec(side=1024, fit="crop").with_side(side)
    assert (spec.side, spec.fit) == (side, "crop")


@pytest.mark.parametrize("side", [0, -64, 192, 255, 257, 1600, 100_000])
def test_resolution_refused(side: int) -> None:
    with pytest.raises(OptionError, match="multiple of 64 from 256 to 1536"):
        ImageSpec(side=1024).with_side(side)


def test_fastvithd_has_the_published_size() -> None:
    shapes = vision_shapes(specs.FASTVITHD)
    total = 0
    for name, shape in shapes.items():
        if "running" not in name:
            count = 1
            for size in shape:
                count *= size
            total += count
    assert specs.FASTVITHD.stride == 64
    assert specs.FASTVITHD.features == 3072
    assert total == pytest.approx(122.7e6, rel=0.005)  # the paper's appendix, without the head


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
