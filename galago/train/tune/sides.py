"""A folder's own files say the side of the pictures that it was trained with.

Where a layout says it: LLaVA in the name of its tower, galago's own block in `image`, transformers
in either of the image processor's files and as the count of a picture's tokens.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from galago.checkpoints.folders import CONFIG
from galago.disk import read_json

__all__ = ["tell_side"]

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def tell_side(folder: Path, side: int, tokens: int) -> None:
    """Write `side` in pixels, and how many `tokens` a picture has, where the folder has another."""
    for name in (CONFIG, *_PROCESSORS):
        path = folder / name
        if path.is_file():
            config = read_json(path)
            for part in (config, config.get("image_processor")):
                if isinstance(part, dict):
                    _resize(part, side, tokens)
            path.write_text(json.dumps(config, indent=1), "utf-8")


def _resize(part: dict[str, Any], side: int, tokens: int) -> None:
    tower, own = part.get("mm_vision_tower"), part.get("galago")
    if isinstance(tower, str):
        part["mm_vision_tower"] = re.sub(r"_\d+$", f"_{side}", tower)
    if isinstance(own, dict):
        own["image"]["side"] = side
    if "image_seq_length" in part:
        part["image_seq_length"] = tokens
    for key in ("size", "crop_size"):
        said = part.get(key)
        if isinstance(said, dict):
            part[key] = {name: side if value else value for name, value in said.items()}
        elif said:
            part[key] = side
