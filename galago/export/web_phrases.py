"""What an album in a browser needs beside a page's MobileCLIP: phrases, and Chinese words.

The phrases that matches are measured by come as vectors: a browser takes tens of seconds for four
hundred texts, and would take them before the first photo. Words in Chinese are put into English as
galago/text/chinese.py does it, by the same list.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.writing import write_arrays
from galago.clip.mobileclip import MobileCLIP
from galago.places import DATA

__all__ = ["CHINESE", "PHRASES", "write_phrases"]

CHINESE = "zh-en.txt"
PHRASES = "phrases.tensors"


def write_phrases(model: Path, folder: Path) -> None:
    """Write PHRASES into `folder`: `background`, float16 unit rows (n, dim), of the lines of
    galago/data/background.txt that are no remarks, in order, by the model in `model` in float32;
    and CHINESE, galago/data/zh-en.txt as it is, with its licence.

    The page reads them as page/src/local/album/model.ts has it.
    """
    lines = (DATA / "background.txt").read_text("utf-8").splitlines()
    texts = [line for line in lines if line and not line.startswith("#")]
    clip = MobileCLIP(open_clip_checkpoint(model), precision="fp32")
    write_arrays(folder / PHRASES, {"background": clip.embed_texts(texts).astype(np.float16)})
    shutil.copyfile(DATA / CHINESE, folder / CHINESE)
