"""Makes what a fake camera plays: a clip of pictures in turn, as Chromium reads it (YUV4MPEG2).

python clip.py FOLDER PICTURE...    writes FOLDER/clip.y4m and each frame as FOLDER/<name>.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SIDE = 256  # pixels: enough for fastvlm-nano, and little work for the browser
RATE = 5  # frames a second
SECONDS = 3  # that each picture stays

# BT.601, limited range: rows give Y, Cb, Cr.
MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
OFFSET = np.array([16.0, 128.0, 128.0])


def planes(picture: Image.Image) -> bytes:
    """The frame as 4:2:0 planes."""
    rgb = np.asarray(picture, dtype=np.float64) / 255  # (H, W, 3)
    yuv = rgb @ MATRIX.T + OFFSET
    halved = yuv.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(1, 3))
    parts = [yuv[..., 0], halved[..., 1], halved[..., 2]]
    return b"".join(np.rint(part).clip(0, 255).astype(np.uint8).tobytes() for part in parts)


def main(folder: Path, pictures: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "clip.y4m").open("wb") as clip:
        clip.write(f"YUV4MPEG2 W{SIDE} H{SIDE} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for path in pictures:
            with Image.open(path) as opened:
                frame = ImageOps.pad(opened.convert("RGB"), (SIDE, SIDE))
            frame.save(folder / f"{path.stem}.png")
            clip.write((b"FRAME\n" + planes(frame)) * (RATE * SECONDS))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
