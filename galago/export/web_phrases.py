"""The phrases that an album measures its matches by, as vectors beside a page's MobileCLIP.

A browser takes tens of seconds for four hundred texts, and would take them before the first photo.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.writing import write_arrays
from galago.clip.mobileclip import MobileCLIP

__all__ = ["PHRASES", "write_phrases"]

PHRASES = "phrases.tensors"
_TEXTS = Path(__file__).parents[1] / "data" / "background.txt"


def write_phrases(model: Path, folder: Path) -> None:
    """Write PHRASES into `folder`: `background`, float16 unit rows (n, dim), of the lines of
    galago/data/background.txt that are no remarks, in order, by the model in `model` in float32.

    The page reads them as page/src/local/album/model.ts has it.
    """
    lines = _TEXTS.read_text("utf-8").splitlines()
    texts = [line for line in lines if line and not line.startswith("#")]
    clip = MobileCLIP(open_clip_checkpoint(model), precision="fp32")
    write_arrays(folder / PHRASES, {"background": clip.embed_texts(texts).astype(np.float16)})
