"""Squares as galago makes them: `python squares.py OUT`, for e2e/pixels.spec.ts.

OUT/squares.json names pictures (RGBA), specs and squares, each in a file of bytes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from galago.media.alpha import opaque
from galago.media.preprocess import fit_square, normalise
from galago.specs import ImageSpec

SPECS = [
    ImageSpec(96, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
    ImageSpec(64, mean=(0.48, 0.457, 0.408), std=(0.268, 0.261, 0.275), resample="bilinear"),
    ImageSpec(64, fit="crop"),
    ImageSpec(80, fit="crop", resample="bilinear", rounded=True),
]
SIZES = [(96, 96), (200, 150), (151, 203), (64, 64), (640, 480), (37, 29), (1, 1), (1, 5), (7, 1)]
SIZES += [(500, 3), (3, 500), (3000, 60), (40, 2500), (95, 97), (1280, 720)]
SIZES += [(10, 330), (90, 3000), (3300, 100), (1, 2000)]


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Edges and noise, opaque; every third with transparency."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
    coarse = rng.integers(0, 2, (height // 8 + 1, width // 8 + 1, 4), np.uint8) * 255
    coarse = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    pixels = np.where(rng.random((height, width, 1)) < 0.8, coarse, pixels)
    if seed % 3:
        pixels[..., 3] = 255
    if seed % 6 == 3:  # white, with all it shows in its transparency
        pixels[..., :3] = 255
    return Image.fromarray(pixels)


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    cases = []
    for number, (width, height) in enumerate(SIZES):
        image = picture(width, height, number)
        name = f"{number}.rgba"
        (out / name).write_bytes(np.asarray(image).tobytes())
        for at, spec in enumerate(SPECS):
            square = np.asarray(fit_square(opaque(image, None), spec))
            values = normalise(square, spec)
            (out / f"{number}-{at}.rgb").write_bytes(square.tobytes())
            (out / f"{number}-{at}.f32").write_bytes(values.tobytes())
            case = {"picture": name, "width": width, "height": height}
            cases.append({**case, "spec": asdict(spec), "square": f"{number}-{at}"})
    (out / "squares.json").write_text(json.dumps(cases), "utf-8")


main(Path(sys.argv[1]))
