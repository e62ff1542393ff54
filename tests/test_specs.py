"""The limits of a resolution, and the published trunk's size."""

from __future__ import annotations

import math

import pytest

from galago import specs
from galago.checkpoints.names import vision_shapes
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
    total = sum(math.prod(shape) for name, shape in shapes.items() if "running" not in name)
    assert specs.FASTVITHD.stride == 64
    assert specs.FASTVITHD.features == 3072
    assert total == pytest.approx(122.7e6, rel=0.005)  # the paper's appendix, without the head
