"""How small a square holds all that a picture shows.

A picture is as large as its file says, but what it shows may be less: a small one that would be
enlarged, a blurred one. Shrunk and enlarged again, such a picture is what it was, and the trunk's
work falls with the square of the side. Sharp letters and the grain of a large photograph are not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from galago.media.preprocess import fit_square
from galago.specs import ImageSpec

__all__ = ["smallest_side"]

_LEAST, _STEP = 512, 128  # px
_BLOCK = 8  # px
# Grey levels, the mean over a block. Blurred text and enlarged photographs lose 0.5 to 2.8 at half
# the side; letters, even 60 px high, and photographs of 12 megapixels more than 9 (docs/engine.md).
_LOST = 3.0


def smallest_side(image: Image.Image, size: tuple[int, int], spec: ImageSpec) -> ImageSpec:
    """The smallest side, from 512 in steps of 128, at which an RGB picture loses nothing to see.

    `size` is that of the picture itself, of which `image` may be a reduced decoding; `spec` has the
    largest side.
    """
    own = max(size) if spec.fit == "pad" else min(size)
    whole = fit_square(image, spec).convert("L")
    for side in range(_LEAST, spec.side, _STEP):
        if own <= side or _lost(whole, side) <= _LOST:
            return replace(spec, side=side)
    return spec


def _lost(whole: Image.Image, side: int) -> float:
    """By how much a grey square differs from itself shrunk to `side`, where it differs most."""
    small = whole.resize((side, side), Image.Resampling.BICUBIC)
    again = small.resize(whole.size, Image.Resampling.BICUBIC)
    difference = np.abs(np.asarray(whole, np.float32) - np.asarray(again, np.float32))
    blocks = whole.width // _BLOCK
    return float(difference.reshape(blocks, _BLOCK, blocks, _BLOCK).mean((1, 3)).max())
