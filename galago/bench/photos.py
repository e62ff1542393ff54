"""Photos that nobody took.

Smooth light, textures at every scale, edges and a sensor's grain, so that a JPEG of 12 megapixels
has the 3 to 5 MB, and takes the time to decode, that one from a camera has. The same number gives
the same photo; what is there already is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIZES = {"large": (4000, 3000), "small": (640, 480)}
QUALITY = {"large": 91, "small": 85}
_CANVAS = (4600, 3600)
_SCENES = 3  # canvases that photos are cut from
_CUT = {"large": 1, "small": 4}  # small ones show four times as much in a pixel
_OCTAVES = ((2, 18.0), (5, 16.0), (14, 16.0), (60, 14.0))  # a grain's size in pixels; how strong


@cache
def canvas(scene: int) -> Image.Image:
    """A scene larger than a photo: light, things with edges, textures in parts of it, grain."""
    rng = np.random.default_rng(scene)
    wide, high = _CANVAS
    light = Image.fromarray(rng.integers(30, 226, (5, 6, 3), dtype=np.uint8))
    picture = light.resize(_CANVAS, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(150):
        x, y, size = (int(rng.integers(*span)) for span in ((0, wide), (0, high), (20, 500)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            draw.ellipse((x, y, x + size, y + size * rng.uniform(0.3, 1.5)), fill=colour)
        else:
            corners = [(x + rng.normal(0, size), y + rng.normal(0, size)) for _ in range(4)]
            draw.polygon(corners, fill=colour)
    texture = np.zeros((high, wide), np.float32)
    for grain, strength in _OCTAVES:
        where = _noise(rng, 700).clip(-0.5, 1) + 0.5  # a sky is smooth, a meadow isn't
        texture += strength * _noise(rng, grain) * where
    out = np.asarray(picture, np.float32) + texture[..., None]
    out += 2.5 * rng.standard_normal((high, wide, 1), dtype=np.float32)
    return Image.fromarray(out.clip(0, 255).astype(np.uint8))


def _noise(rng: np.random.Generator, grain: int) -> npt.NDArray[np.float32]:
    wide, high = _CANVAS
    coarse = rng.standard_normal((high // grain + 2, wide // grain + 2), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize(_CANVAS, Image.Resampling.BILINEAR))


def photo(kind: str, number: int) -> Image.Image:
    """A part of a scene, perhaps mirrored, in a light of its own."""
    rng = np.random.default_rng((len(kind), number))
    size, cut = SIZES[kind], _CUT[kind]
    scene = canvas(number % _SCENES)
    left = int(rng.integers(_CANVAS[0] - size[0] * cut + 1))
    top = int(rng.integers(_CANVAS[1] - size[1] * cut + 1))
    part = scene.crop((left, top, left + size[0] * cut, top + size[1] * cut))
    part = part.reduce(cut) if cut > 1 else part
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    gains = rng.uniform(0.75, 1.2, 3)
    return part.point([min(255, int(level * gain)) for gain in gains for level in range(256)])


def save(kind: str, folder: Path, number: int) -> int:
    """Its size in bytes."""
    path = folder / f"{number % 50:02d}" / f"{number:06d}.jpg"  # folders in folders, as people have
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".tmp")
        photo(kind, number).save(part, "JPEG", quality=QUALITY[kind])
        part.rename(path)
    return path.stat().st_size


def make(options: Mapping[str, Any]) -> dict[str, Any]:
    """`count` photos of a `kind` in a `folder`: the preparation of rows that index them."""
    work = partial(save, options["kind"], Path(options["folder"]))
    with ProcessPoolExecutor(options["threads"]) as pool:
        list(pool.map(work, range(options["count"]), chunksize=5))
    return {}
