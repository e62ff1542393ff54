"""Makes small WebP files of a folder's PNG files: python webp.py FOLDER

NAME-moving-000.png and those after it become one moving picture, NAME-moving.webp.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

EVERY = 600  # milliseconds between frames, as screenshots.ts takes them

still, moving = [], {}
for path in sorted(Path(sys.argv[1]).glob("*.png")):
    name, _, number = path.stem.rpartition("-")
    if name.endswith("-moving") and number.isdecimal():
        moving.setdefault(name, []).append(path)
    else:
        still.append(path)

for path in still:
    with Image.open(path) as picture:
        picture.convert("RGB").save(path.with_suffix(".webp"), quality=82, method=6)
    path.unlink()

for name, paths in moving.items():
    frames = [Image.open(path).convert("RGB") for path in paths]
    target = paths[0].with_name(f"{name}.webp")
    frames[0].save(
        target,
        save_all=True,
        append_images=frames[1:],
        duration=EVERY,
        loop=0,
        quality=70,
        method=6,
    )
    for path in paths:
        path.unlink()
